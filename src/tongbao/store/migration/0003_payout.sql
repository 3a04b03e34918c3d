-- Settlement, payouts and profit sharing.

CREATE TABLE calendar_day (
  day {bigint} NOT NULL PRIMARY KEY CHECK (day BETWEEN 20000101 AND 29991231),
  working {bool} NOT NULL,
  actor text NOT NULL,
  reason text NOT NULL,
  at {bigint} NOT NULL
) {strict};

CREATE TABLE settlement_day (
  day {bigint} NOT NULL PRIMARY KEY,
  state text NOT NULL CHECK (state IN ('running', 'done')),
  merchants {bigint} NOT NULL CHECK (merchants >= 0),
  amount {bigint} NOT NULL CHECK (amount >= 0),
  started_at {bigint} NOT NULL,
  ended_at {bigint}
) {strict};

CREATE TABLE settlement (
  merchant_id text NOT NULL,
  settlement_no text NOT NULL,
  kind text NOT NULL CHECK (kind IN ('daily', 'early')),
  day {bigint} NOT NULL,
  state text NOT NULL CHECK (state IN ('open', 'done')),
  chunks {bigint} NOT NULL CHECK (chunks > 0),
  cursor text NOT NULL,
  lines {bigint} NOT NULL CHECK (lines >= 0),
  amount {bigint} NOT NULL CHECK (amount >= 0 AND amount <= 10000000000000),
  fee {bigint} NOT NULL CHECK (fee >= 0),
  reserve {bigint} NOT NULL CHECK (reserve >= 0),
  reserve_until {bigint},
  currency text NOT NULL,
  created_at {bigint} NOT NULL,
  ended_at {bigint},
  PRIMARY KEY (merchant_id, settlement_no),
  CHECK (fee + reserve <= amount),
  CHECK ((state = 'done') = (ended_at IS NOT NULL))
) {strict};
CREATE INDEX settlement_of_day ON settlement (day);
CREATE INDEX settlement_reserve ON settlement (reserve_until) WHERE reserve_until IS NOT NULL;

CREATE TABLE settlement_line (
  merchant_id text NOT NULL,
  settlement_no text NOT NULL,
  out_trade_no text NOT NULL,
  gross {bigint} NOT NULL,
  charged {bigint} NOT NULL,
  refunded {bigint} NOT NULL,
  shared {bigint} NOT NULL,
  before {bigint} NOT NULL,
  amount {bigint} NOT NULL CHECK (amount <> 0),
  PRIMARY KEY (merchant_id, settlement_no, out_trade_no),
  CHECK (amount = gross - charged - refunded - shared - before)
) {strict};

CREATE TABLE share (
  merchant_id text NOT NULL,
  out_trade_no text NOT NULL,
  settled {bigint} NOT NULL,
  given {bigint} NOT NULL CHECK (given >= 0),
  returned {bigint} NOT NULL CHECK (returned >= 0 AND returned <= given),
  splits {bigint} NOT NULL CHECK (splits >= 0),
  later {bool} NOT NULL,
  finished {bool} NOT NULL,
  waiting {bool} NOT NULL,
  held {bool} NOT NULL,
  PRIMARY KEY (merchant_id, out_trade_no)
) {strict};
CREATE INDEX share_held ON share (merchant_id, out_trade_no) WHERE held;
CREATE INDEX share_waiting ON share (merchant_id, out_trade_no) WHERE waiting;

CREATE TABLE split (
  merchant_id text NOT NULL,
  out_trade_no text NOT NULL,
  split_no text NOT NULL,
  split_id text NOT NULL UNIQUE,
  amount {bigint} NOT NULL CHECK (amount >= 0),
  currency text NOT NULL,
  state text NOT NULL CHECK (state IN ('succeeded', 'failed')),
  code text NOT NULL,
  finish {bool} NOT NULL,
  digest text NOT NULL,
  cause text NOT NULL CHECK (cause IN ('asked', 'payment', 'refund')),
  created_at {bigint} NOT NULL,
  PRIMARY KEY (merchant_id, out_trade_no, split_no)
) {strict};

CREATE TABLE split_part (
  merchant_id text NOT NULL,
  out_trade_no text NOT NULL,
  split_no text NOT NULL,
  n {bigint} NOT NULL CHECK (n > 0),
  receiver text NOT NULL CHECK (receiver IN ('merchant', 'buyer')),
  receiver_id text NOT NULL,
  receiver_login text NOT NULL,
  amount {bigint} NOT NULL CHECK (amount > 0),
  returned {bigint} NOT NULL CHECK (returned >= 0 AND returned <= amount),
  memo text NOT NULL,
  relation text NOT NULL,
  PRIMARY KEY (merchant_id, out_trade_no, split_no, n)
) {strict};

CREATE TABLE payout_card (
  merchant_id text NOT NULL PRIMARY KEY,
  bank text NOT NULL,
  tail text NOT NULL,
  secret text NOT NULL CHECK (secret LIKE 'v1:%:%:%'),
  state text NOT NULL CHECK (state IN ('entered', 'verified')),
  standing text NOT NULL CHECK (standing IN ('off', 'daily', 'above')),
  threshold {bigint} NOT NULL CHECK (threshold >= 0),
  keep {bigint} NOT NULL CHECK (keep >= 0),
  maker text NOT NULL,
  checker text NOT NULL,
  changed_at {bigint} NOT NULL,
  version {bigint} NOT NULL,
  CHECK (state = 'entered' OR (checker <> '' AND checker <> maker))
) {strict};

CREATE TABLE counter (
  merchant_id text NOT NULL,
  name text NOT NULL,
  day {bigint} NOT NULL,
  amount {bigint} NOT NULL CHECK (amount >= 0),
  count {bigint} NOT NULL CHECK (count >= 0),
  PRIMARY KEY (merchant_id, name)
) {strict};

CREATE TABLE payout_batch (
  merchant_id text NOT NULL,
  batch_no text NOT NULL,
  batch_id text NOT NULL UNIQUE,
  name text NOT NULL,
  state text NOT NULL CHECK (state IN ('loading', 'proposed', 'running', 'done', 'closed')),
  count {bigint} NOT NULL CHECK (count BETWEEN 1 AND 100000),
  total {bigint} NOT NULL CHECK (total > 0 AND total <= 10000000000000),
  fee {bigint} NOT NULL CHECK (fee >= 0),
  currency text NOT NULL,
  loaded {bigint} NOT NULL CHECK (loaded BETWEEN 0 AND count),
  loaded_sum {bigint} NOT NULL CHECK (loaded_sum BETWEEN 0 AND total),
  ended {bigint} NOT NULL CHECK (ended BETWEEN 0 AND loaded),
  failed {bigint} NOT NULL CHECK (failed BETWEEN 0 AND ended),
  paid {bigint} NOT NULL CHECK (paid BETWEEN 0 AND total),
  digest text NOT NULL,
  source text NOT NULL CHECK (source IN ('api', 'upload')),
  protocol text NOT NULL,
  notify_url text NOT NULL,
  echo text NOT NULL,
  maker text NOT NULL,
  checker text NOT NULL,
  created_at {bigint} NOT NULL,
  started_at {bigint},
  ended_at {bigint},
  PRIMARY KEY (merchant_id, batch_no),
  CHECK (checker = '' OR checker <> maker),
  CHECK ((state = 'done') = (ended = count))
) {strict};
CREATE INDEX payout_batch_running ON payout_batch (state) WHERE state = 'running';

CREATE TABLE payout (
  merchant_id text NOT NULL,
  batch_no text NOT NULL,
  payout_no text NOT NULL,
  payout_id text NOT NULL UNIQUE,
  n {bigint} NOT NULL CHECK (n > 0),
  kind text NOT NULL CHECK (kind IN ('buyer', 'merchant', 'card')),
  payee_id text NOT NULL,
  payee text NOT NULL,
  bank text NOT NULL,
  secret text NOT NULL CHECK (secret LIKE 'v1:%:%:%'),
  digest text NOT NULL,
  amount {bigint} NOT NULL CHECK (amount > 0 AND amount <= 10000000000000),
  fee {bigint} NOT NULL CHECK (fee >= 0),
  currency text NOT NULL,
  memo text NOT NULL,
  title text NOT NULL,
  state text NOT NULL CHECK (state IN ('proposed', 'sent', 'succeeded', 'failed', 'closed')),
  code text NOT NULL,
  bank_ref text NOT NULL,
  source text NOT NULL CHECK (source IN ('api', 'upload', 'standing')),
  protocol text NOT NULL,
  notify_url text NOT NULL,
  maker text NOT NULL,
  checker text NOT NULL,
  created_at {bigint} NOT NULL,
  ended_at {bigint},
  PRIMARY KEY (merchant_id, batch_no, payout_no),
  CHECK (checker = '' OR checker <> maker),
  CHECK ((state IN ('succeeded', 'failed', 'closed')) = (ended_at IS NOT NULL)),
  CHECK ((state = 'failed') = (code <> ''))
) {strict};
CREATE UNIQUE INDEX payout_order ON payout (merchant_id, batch_no, n) WHERE batch_no <> '';
CREATE INDEX payout_waiting ON payout (merchant_id, batch_no, n) WHERE state = 'proposed';

CREATE INDEX IF NOT EXISTS entry_trade ON entry (merchant_id, out_trade_no);
CREATE INDEX IF NOT EXISTS entry_day ON entry (merchant_id, business_day);
