"""The merchant's tables, as scripts for three databases: whatever SQL differs between them is in this file.

Money is a whole number of minor units, times are whole milliseconds since 1970 UTC, and on MySQL/MariaDB comparison is
by bytes, so that order ``a1`` is never order ``A1``.
"""

from __future__ import annotations

from typing import Final

from tongbao.merchant.database import Dialect

ORDERS: Final = """
CREATE TABLE IF NOT EXISTS orders (
  order_no      {text:64} NOT NULL PRIMARY KEY,
  endpoint      {text:64} NOT NULL,
  environment   {text:16} NOT NULL,
  subject       {text:256} NOT NULL,
  amount_minor  {bigint} NOT NULL CHECK (amount_minor BETWEEN 1 AND 10000000000000),
  currency      {text:3} NOT NULL,
  seller_id     {text:64} NOT NULL,
  seller_login  {text:128} NOT NULL,
  email         {text:254} NOT NULL,
  language      {text:8} NOT NULL,
  state         {text:16} NOT NULL CHECK (state IN ('pending', 'paid', 'shipped', 'finished', 'closed')),
  trade_no      {text:64} NULL,
  trade_state   {text:32} NULL,
  evidence      {text:8} NULL CHECK (evidence IS NULL OR evidence IN ('NOTIFY', 'QUERY')),
  created_at    {bigint} NOT NULL,
  paid_at       {bigint} NULL,
  moved_at      {bigint} NOT NULL,
  CHECK (state NOT IN ('paid', 'shipped', 'finished')
         OR (evidence IS NOT NULL AND trade_no IS NOT NULL AND paid_at IS NOT NULL))
){table};
CREATE INDEX {if_not_exists}orders_waiting ON orders (state, created_at);
"""

PAYMENTS: Final = """
CREATE TABLE IF NOT EXISTS payment_inbox (
  provider         {text:120} NOT NULL,
  trade_no         {text:64} NOT NULL,
  event            {text:100} NOT NULL,
  order_no         {text:64} NOT NULL,
  notification_id  {text:128} NOT NULL,
  evidence         {text:8} NOT NULL CHECK (evidence IN ('NOTIFY', 'QUERY')),
  amount_minor     {bigint} NOT NULL,
  currency         {text:3} NOT NULL,
  disposition      {text:16} NOT NULL CHECK (disposition IN ('applied', 'recorded', 'case')),
  reason           {text:64} NOT NULL,
  body_sha256      {text:64} NOT NULL,
  accepted_at      {bigint} NOT NULL,
  PRIMARY KEY (provider, trade_no, event)
){table};
CREATE INDEX {if_not_exists}payment_inbox_order ON payment_inbox (order_no);

CREATE TABLE IF NOT EXISTS payment_effect (
  order_no      {text:64} NOT NULL,
  kind          {text:16} NOT NULL CHECK (kind IN ('bound', 'paid', 'shipped', 'finished', 'closed')),
  provider      {text:120} NOT NULL,
  trade_no      {text:64} NOT NULL,
  event         {text:100} NOT NULL,
  amount_minor  {bigint} NOT NULL,
  currency      {text:3} NOT NULL,
  evidence      {text:8} NOT NULL CHECK (evidence IN ('NOTIFY', 'QUERY')),
  made_at       {bigint} NOT NULL,
  PRIMARY KEY (order_no, kind),
  UNIQUE (provider, trade_no, kind)
){table};

CREATE TABLE IF NOT EXISTS payment_outbox (
  job_key     {text:190} NOT NULL PRIMARY KEY,
  kind        {text:64} NOT NULL,
  order_no    {text:64} NOT NULL,
  data        {long} NOT NULL,
  state       {text:16} NOT NULL CHECK (state IN ('waiting', 'done', 'quarantined')),
  attempts    {bigint} NOT NULL,
  next_at     {bigint} NOT NULL,
  error       {text:256} NOT NULL,
  created_at  {bigint} NOT NULL,
  done_at     {bigint} NULL
){table};
CREATE INDEX {if_not_exists}payment_outbox_due ON payment_outbox (state, next_at);

CREATE TABLE IF NOT EXISTS payment_movement (
  endpoint      {text:64} NOT NULL,
  kind          {text:8} NOT NULL CHECK (kind IN ('refund', 'payout')),
  batch_no      {text:64} NOT NULL,
  number        {text:64} NOT NULL,
  order_no      {text:64} NOT NULL,
  trade_no      {text:64} NOT NULL,
  amount_minor  {bigint} NOT NULL CHECK (amount_minor BETWEEN 1 AND 10000000000000),
  currency      {text:3} NOT NULL,
  state         {text:16} NOT NULL CHECK (state IN ('asked', 'accepted', 'succeeded', 'failed', 'closed')),
  code          {text:64} NOT NULL,
  movement_id   {text:64} NOT NULL,
  evidence      {text:8} NOT NULL CHECK (evidence IN ('', 'ANSWER', 'NOTIFY', 'QUERY')),
  reason        {text:512} NULL,
  notify_url    {text:512} NULL,
  asked_at      {bigint} NOT NULL,
  ended_at      {bigint} NULL,
  PRIMARY KEY (endpoint, kind, batch_no, number)
){table};
CREATE INDEX {if_not_exists}payment_movement_order ON payment_movement (order_no);
CREATE INDEX {if_not_exists}payment_movement_open ON payment_movement (state, asked_at);

CREATE TABLE IF NOT EXISTS payment_invalid (
  id           {identity},
  endpoint     {text:64} NOT NULL,
  step         {bigint} NOT NULL,
  reason       {text:64} NOT NULL,
  detail       {text:400} NOT NULL,
  order_no     {text:64} NOT NULL,
  body_sha256  {text:64} NOT NULL,
  body         {long} NOT NULL,
  received_at  {bigint} NOT NULL
){table};
CREATE INDEX {if_not_exists}payment_invalid_time ON payment_invalid (received_at);
"""

_TYPES: Final = {
    Dialect.SQLITE: {
        "bigint": "INTEGER",
        "long": "TEXT",
        "identity": "INTEGER PRIMARY KEY",
        "table": " STRICT",
        "if_not_exists": "IF NOT EXISTS ",
    },
    Dialect.POSTGRESQL: {
        "bigint": "bigint",
        "long": "text",
        "identity": "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
        "table": "",
        "if_not_exists": "IF NOT EXISTS ",
    },
    Dialect.MYSQL: {
        "bigint": "BIGINT",
        "long": "MEDIUMTEXT",
        "identity": "BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY",
        "table": " ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        "if_not_exists": "",
    },
}


class _Text(str):
    """Answers ``{text:64}`` with a sized type where the database has one."""

    __slots__ = ()

    def __format__(self, size: str) -> str:
        return self + f"({size})" if self == "varchar" else str.__str__(self)


def schema(dialect: Dialect | str, *, orders: bool = True) -> str:
    """The script that creates the merchant's tables. ``orders`` False leaves out ours, for a shop that maps its own."""
    chosen = Dialect(dialect)
    kind = _Text("TEXT" if chosen is Dialect.SQLITE else "varchar")
    script = (ORDERS if orders else "") + PAYMENTS
    return script.format(text=kind, **_TYPES[chosen]).strip() + "\n"


def statements(dialect: Dialect | str, *, orders: bool = True) -> list[str]:
    """The same script, one statement at a time, for drivers that run no scripts."""
    return [part.strip() for part in schema(dialect, orders=orders).split(";") if part.strip()]
