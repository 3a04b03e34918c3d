"""One reconciliation with our engine, as a process of its own: ``reconcile_ours BILL OWN CHARSET``."""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

from tongbao.merchant.match import Class, Matcher, Side
from tongbao.merchant.reconcile import order_shape
from tongbao.wire.bill import BillShape

COLUMNS = ("kind", "time", "income", "outcome", "order_no", *(f"other{place}" for place in range(15)))


def main() -> None:
    bill, own, charset = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    begun = time.perf_counter()
    shape = BillShape(columns=COLUMNS, kinds={"支付": "payment", "退款": "refund"}, charset=charset, strip="\t")
    with tempfile.TemporaryDirectory(dir=bill.parent) as folder, Matcher(Path(folder)) as matcher:
        matcher.add_file(Side.THERE, bill, shape)
        matcher.add_file(Side.HERE, own, order_shape(own))
        match = matcher.match()
        different = sum(1 for _ in match.differences())
        matched = match.many(Class.MATCHED)
    used = resource.getrusage(resource.RUSAGE_SELF)
    said = {
        "seconds": time.perf_counter() - begun,
        "cpu": used.ru_utime + used.ru_stime,
        "peak": used.ru_maxrss / 1024,
        "matched": matched,
        "different": different,
    }
    print(json.dumps(said))


if __name__ == "__main__":
    main()
