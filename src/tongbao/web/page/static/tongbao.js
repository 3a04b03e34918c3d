"use strict";
// The page says how much time is left when it is served; this only counts on, and sends a form that waits for it.
(function () {
  var started = Date.now();
  document.querySelectorAll("[data-left]").forEach(function (node) {
    var left = Number(node.dataset.left);
    if (!(left > 0) || left > 86400) { return; }
    function two(number) { return (number < 10 ? "0" : "") + number; }
    function tick() {
      var now = Math.max(0, left - Math.floor((Date.now() - started) / 1000));
      var hours = Math.floor(now / 3600);
      node.textContent = (hours ? hours + ":" : "") + two(Math.floor(now % 3600 / 60)) + ":" + two(now % 60);
      if (now === 0) { node.classList.add("over"); return; }
      setTimeout(tick, 1000);
    }
    tick();
  });
  var form = document.querySelector("form[data-auto]");
  if (form) { HTMLFormElement.prototype.submit.call(form); }
  document.querySelectorAll("form[data-once]").forEach(function (once) {
    once.addEventListener("submit", function () {
      once.querySelectorAll("button").forEach(function (button) { button.setAttribute("aria-busy", "true"); });
    });
  });
})();
