-- The first schema. Fragments in braces are expanded for each database in store/fragment.py.
-- Money columns are whole minor units; times are milliseconds since 1970 in UTC; text that was not given is ''.

CREATE TABLE lane (
  lane {bigint} NOT NULL PRIMARY KEY,
  token {bigint} NOT NULL,
  holder text NOT NULL,
  lease_until {bigint} NOT NULL,
  batch {bigint} NOT NULL,
  entry_seq {bigint} NOT NULL CHECK (entry_seq >= 0),
  head text NOT NULL,
  audit_seq {bigint} NOT NULL CHECK (audit_seq >= 0),
  audit_head text NOT NULL,
  moved_at {bigint} NOT NULL
) {strict};

CREATE TABLE answer (
  scope text NOT NULL,
  key text NOT NULL,
  request_hash text NOT NULL,
  outcome text NOT NULL,
  at {bigint} NOT NULL,
  PRIMARY KEY (scope, key)
) {strict};

CREATE TABLE merchant (
  merchant_id text NOT NULL PRIMARY KEY,
  name text NOT NULL,
  status text NOT NULL CHECK (status IN ('applied', 'approved', 'frozen', 'closed')),
  environment text NOT NULL,
  login text NOT NULL UNIQUE,
  products text NOT NULL,
  protocols text NOT NULL,
  hosts text NOT NULL,
  notify_url text NOT NULL,
  return_url text NOT NULL,
  refund_days {bigint} NOT NULL CHECK (refund_days >= 0),
  fee_rate {bigint} NOT NULL CHECK (fee_rate BETWEEN 0 AND 10000),
  fee_min {bigint} NOT NULL CHECK (fee_min >= 0),
  fee_cap {bigint} NOT NULL CHECK (fee_cap >= 0),
  anti_phishing {bool} NOT NULL,
  settings text NOT NULL,
  created_by text NOT NULL,
  approved_by text NOT NULL,
  created_at {bigint} NOT NULL,
  version {bigint} NOT NULL,
  CHECK (status = 'applied' OR approved_by <> '')
) {strict};

CREATE TABLE merchant_key (
  merchant_id text NOT NULL REFERENCES merchant (merchant_id),
  protocol text NOT NULL,
  key_id text NOT NULL,
  version {bigint} NOT NULL,
  algorithm text NOT NULL,
  use text NOT NULL CHECK (use IN ('verify', 'sign', 'both', 'client')),
  secret text NOT NULL CHECK (secret LIKE 'v1:%:%:%'),
  state text NOT NULL CHECK (state IN ('next', 'active', 'retiring', 'revoked')),
  created_at {bigint} NOT NULL,
  moved_at {bigint} NOT NULL,
  PRIMARY KEY (merchant_id, protocol, key_id)
) {strict};

CREATE TABLE operator (
  name text NOT NULL PRIMARY KEY,
  role text NOT NULL CHECK (role IN ('maker', 'checker', 'both')),
  status text NOT NULL CHECK (status IN ('active', 'closed')),
  password_hash text NOT NULL,
  created_by text NOT NULL,
  created_at {bigint} NOT NULL
) {strict};

CREATE TABLE session (
  session text NOT NULL PRIMARY KEY,
  kind text NOT NULL,
  subject text NOT NULL,
  wire_at {bigint} NOT NULL,
  seen_at {bigint} NOT NULL
) {strict};

CREATE TABLE visit (
  link text NOT NULL PRIMARY KEY,
  browser text NOT NULL,
  merchant_id text NOT NULL,
  out_trade_no text NOT NULL,
  wire_at {bigint} NOT NULL
) {strict};

CREATE TABLE buyer (
  buyer_id text NOT NULL PRIMARY KEY,
  login text NOT NULL UNIQUE,
  kind text NOT NULL CHECK (kind IN ('member', 'guest')),
  status text NOT NULL CHECK (status IN ('active', 'frozen', 'closed')),
  name text NOT NULL,
  locale text NOT NULL,
  login_hash text NOT NULL,
  pay_hash text NOT NULL,
  attempts {bigint} NOT NULL CHECK (attempts >= 0),
  locked_until {bigint} NOT NULL,
  login_attempts {bigint} NOT NULL CHECK (login_attempts >= 0),
  login_locked_until {bigint} NOT NULL,
  created_at {bigint} NOT NULL
) {strict};

CREATE TABLE authorisation (
  authorisation_id text NOT NULL PRIMARY KEY,
  buyer_id text NOT NULL,
  act text NOT NULL,
  merchant_id text NOT NULL,
  out_trade_no text NOT NULL,
  amount {bigint} NOT NULL CHECK (amount > 0 AND amount <= 10000000000000),
  currency text NOT NULL,
  state text NOT NULL CHECK (state IN ('reserved', 'granted', 'denied', 'used')),
  wire_at {bigint} NOT NULL
) {strict};

CREATE TABLE trade (
  merchant_id text NOT NULL,
  out_trade_no text NOT NULL,
  trade_no text NOT NULL UNIQUE,
  protocol text NOT NULL,
  product text NOT NULL CHECK (product IN ('instant', 'escrow', 'dual')),
  state text NOT NULL CHECK (state IN ('unpaid', 'paid', 'escrowed', 'shipped', 'finished', 'closed')),
  flow text NOT NULL CHECK (flow IN ('', 'instant', 'escrow')),
  amount {bigint} NOT NULL CHECK (amount > 0 AND amount <= 10000000000000),
  currency text NOT NULL,
  fee {bigint} NOT NULL CHECK (fee >= 0 AND fee <= amount),
  refunded {bigint} NOT NULL CHECK (refunded >= 0 AND refunded <= amount),
  refund_state text NOT NULL,
  buyer_id text NOT NULL,
  buyer_login text NOT NULL,
  carrier text NOT NULL,
  tracking_no text NOT NULL,
  attempts {bigint} NOT NULL CHECK (attempts BETWEEN 0 AND 99),
  paid_attempt {bigint} NOT NULL CHECK (paid_attempt BETWEEN 0 AND attempts),
  version {bigint} NOT NULL CHECK (version >= 0),
  created_at {bigint} NOT NULL,
  paid_at {bigint},
  shipped_at {bigint},
  ended_at {bigint},
  moved_at {bigint} NOT NULL,
  due_at {bigint},
  terms text NOT NULL,
  terms_hash text NOT NULL,
  PRIMARY KEY (merchant_id, out_trade_no),
  CHECK ((paid_attempt > 0) = (state IN ('paid', 'escrowed', 'shipped', 'finished'))),
  CHECK (paid_at IS NULL OR paid_at >= created_at),
  CHECK (ended_at IS NULL OR ended_at >= created_at)
) {strict};
CREATE INDEX trade_due ON trade (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE payment (
  merchant_id text NOT NULL,
  out_trade_no text NOT NULL,
  attempt {bigint} NOT NULL CHECK (attempt BETWEEN 1 AND 99),
  payment_no text NOT NULL,
  method text NOT NULL CHECK (method IN ('balance', 'debit', 'credit', 'outlet')),
  bank text NOT NULL,
  flow text NOT NULL CHECK (flow IN ('instant', 'escrow')),
  state text NOT NULL CHECK (state IN ('pending', 'captured', 'failed', 'late', 'returned')),
  amount {bigint} NOT NULL CHECK (amount > 0 AND amount <= 10000000000000),
  currency text NOT NULL,
  buyer_id text NOT NULL,
  buyer_login text NOT NULL,
  intent text NOT NULL,
  bank_ref text NOT NULL,
  counts {bool} NOT NULL,
  created_at {bigint} NOT NULL,
  ended_at {bigint},
  PRIMARY KEY (merchant_id, out_trade_no, attempt),
  CHECK (state = 'captured' OR NOT counts)
) {strict};
CREATE UNIQUE INDEX payment_counts ON payment (merchant_id, out_trade_no) WHERE counts;

CREATE TABLE instruction (
  instruction_no text NOT NULL PRIMARY KEY,
  merchant_id text NOT NULL,
  out_trade_no text NOT NULL,
  attempt {bigint} NOT NULL,
  kind text NOT NULL CHECK (kind IN ('pay', 'refund')),
  bank text NOT NULL,
  method text NOT NULL,
  amount {bigint} NOT NULL CHECK (amount > 0 AND amount <= 10000000000000),
  currency text NOT NULL,
  state text NOT NULL CHECK (state IN ('created', 'unknown', 'succeeded', 'failed')),
  bank_ref text NOT NULL,
  reason text NOT NULL,
  code text NOT NULL,
  tries {bigint} NOT NULL CHECK (tries >= 0),
  created_at {bigint} NOT NULL,
  moved_at {bigint} NOT NULL,
  inquire_at {bigint}
) {strict};
CREATE INDEX instruction_due ON instruction (inquire_at) WHERE inquire_at IS NOT NULL;
CREATE INDEX instruction_trade ON instruction (merchant_id, out_trade_no);
CREATE UNIQUE INDEX instruction_bank_ref ON instruction (bank, kind, bank_ref) WHERE bank_ref <> '';

CREATE TABLE event (
  merchant_id text NOT NULL,
  out_trade_no text NOT NULL,
  seq {bigint} NOT NULL CHECK (seq > 0),
  from_state text NOT NULL,
  to_state text NOT NULL,
  cause text NOT NULL,
  at {bigint} NOT NULL,
  snapshot text NOT NULL,
  target text NOT NULL,
  notify_state text NOT NULL CHECK (notify_state IN ('silent', 'pending', 'delivered', 'dead', 'blocked')),
  attempts {bigint} NOT NULL CHECK (attempts >= 0),
  resends {bigint} NOT NULL CHECK (resends >= 0),
  next_at {bigint},
  lease_token {bigint} NOT NULL,
  lease_until {bigint},
  PRIMARY KEY (merchant_id, out_trade_no, seq),
  CHECK ((notify_state = 'pending') = (next_at IS NOT NULL))
) {strict};
CREATE INDEX event_due ON event (next_at) WHERE next_at IS NOT NULL;

CREATE TABLE attempt (
  merchant_id text NOT NULL,
  out_trade_no text NOT NULL,
  seq {bigint} NOT NULL,
  n {bigint} NOT NULL CHECK (n > 0),
  at {bigint} NOT NULL,
  token {bigint} NOT NULL,
  answer_class text NOT NULL,
  status {bigint} NOT NULL,
  answer text NOT NULL,
  milliseconds {bigint} NOT NULL,
  PRIMARY KEY (merchant_id, out_trade_no, seq, n)
) {strict};

CREATE TABLE case_file (
  case_id text NOT NULL PRIMARY KEY,
  kind text NOT NULL,
  merchant_id text NOT NULL,
  out_trade_no text NOT NULL,
  subject text NOT NULL,
  amount {bigint} NOT NULL CHECK (amount >= 0),
  currency text NOT NULL,
  state text NOT NULL CHECK (state IN ('open', 'closed')),
  note text NOT NULL,
  opened_at {bigint} NOT NULL,
  closed_at {bigint}
) {strict};

CREATE TABLE account (
  code text NOT NULL PRIMARY KEY,
  currency text NOT NULL,
  balance {bigint} NOT NULL,
  may_go_negative {bool} NOT NULL,
  frozen {bool} NOT NULL,
  opened_at {bigint} NOT NULL,
  CHECK (may_go_negative OR balance >= 0)
) {strict};

CREATE TABLE entry (
  lane {bigint} NOT NULL,
  seq {bigint} NOT NULL CHECK (seq > 0),
  key text NOT NULL UNIQUE,
  kind text NOT NULL,
  merchant_id text NOT NULL,
  out_trade_no text NOT NULL,
  at {bigint} NOT NULL,
  business_day {bigint} NOT NULL,
  hash text NOT NULL,
  PRIMARY KEY (lane, seq)
) {strict};

CREATE TABLE posting (
  lane {bigint} NOT NULL,
  seq {bigint} NOT NULL,
  n {bigint} NOT NULL CHECK (n > 0),
  debit text NOT NULL,
  credit text NOT NULL,
  amount {bigint} NOT NULL CHECK (amount > 0 AND amount <= 10000000000000),
  PRIMARY KEY (lane, seq, n),
  CHECK (debit <> credit)
) {strict};

CREATE TABLE audit (
  lane {bigint} NOT NULL,
  seq {bigint} NOT NULL CHECK (seq > 0),
  at {bigint} NOT NULL,
  actor text NOT NULL,
  act text NOT NULL,
  subject text NOT NULL,
  reason text NOT NULL,
  before_digest text NOT NULL,
  after_digest text NOT NULL,
  hash text NOT NULL,
  PRIMARY KEY (lane, seq)
) {strict};

CREATE TABLE refusal (
  refusal_id text NOT NULL PRIMARY KEY,
  at {bigint} NOT NULL,
  surface text NOT NULL,
  operation text NOT NULL,
  code text NOT NULL,
  detail text NOT NULL,
  merchant_id text NOT NULL,
  peer text NOT NULL,
  fields text NOT NULL,
  body_digest text NOT NULL
) {strict};

CREATE TABLE setting (
  name text NOT NULL PRIMARY KEY,
  value text NOT NULL
) {strict};

-- the books are append-only: whoever connects, no statement may change or remove what was posted (I07, T87)
{append_only entry}
{append_only posting}
{append_only audit}
