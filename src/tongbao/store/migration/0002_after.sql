-- Money after the payment: refunds, the buyer's claims in escrow, corrections, chargebacks.
-- trade and instruction are built anew, because their constraints grow: a trade may close after it was paid, once all
-- of it went back; an instruction may ask a bank for more than a payment.

CREATE TABLE trade_next (
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
  CHECK (CASE state WHEN 'unpaid' THEN paid_attempt = 0 WHEN 'closed' THEN paid_attempt = 0 OR refunded = amount
         ELSE paid_attempt > 0 END),
  CHECK (refunded = 0 OR paid_attempt > 0),
  CHECK (paid_at IS NULL OR paid_at >= created_at),
  CHECK (ended_at IS NULL OR ended_at >= created_at)
) {strict};
INSERT INTO trade_next SELECT * FROM trade;
DROP TABLE trade;
ALTER TABLE trade_next RENAME TO trade;
CREATE INDEX trade_due ON trade (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE instruction_next (
  instruction_no text NOT NULL PRIMARY KEY,
  merchant_id text NOT NULL,
  out_trade_no text NOT NULL,
  attempt {bigint} NOT NULL,
  kind text NOT NULL CHECK (kind IN ('pay', 'refund', 'payout')),
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
INSERT INTO instruction_next SELECT * FROM instruction;
DROP TABLE instruction;
ALTER TABLE instruction_next RENAME TO instruction;
CREATE INDEX instruction_due ON instruction (inquire_at) WHERE inquire_at IS NOT NULL;
CREATE INDEX instruction_trade ON instruction (merchant_id, out_trade_no);
CREATE UNIQUE INDEX instruction_bank_ref ON instruction (bank, kind, bank_ref) WHERE bank_ref <> '';

-- a lane may give back fees that another lane earned
UPDATE account SET may_go_negative = (1 = 1) WHERE code LIKE 'platform:%:fee:%';

CREATE TABLE refund (
  merchant_id text NOT NULL,
  out_trade_no text NOT NULL,
  n {bigint} NOT NULL CHECK (n BETWEEN 1 AND 300),
  refund_id text NOT NULL UNIQUE,
  refund_no text NOT NULL,
  batch_no text NOT NULL,
  cause text NOT NULL CHECK (cause IN ('merchant', 'cancel', 'claim', 'decision')),
  state text NOT NULL CHECK (state IN ('accepted', 'succeeded', 'failed')),
  attempt {bigint} NOT NULL CHECK (attempt > 0),
  method text NOT NULL CHECK (method IN ('balance', 'debit', 'credit')),
  bank text NOT NULL,
  buyer_id text NOT NULL,
  amount {bigint} NOT NULL CHECK (amount > 0 AND amount <= 10000000000000),
  currency text NOT NULL,
  from_escrow {bigint} NOT NULL CHECK (from_escrow >= 0),
  from_pending {bigint} NOT NULL CHECK (from_pending >= 0),
  from_reserve {bigint} NOT NULL CHECK (from_reserve >= 0),
  from_available {bigint} NOT NULL CHECK (from_available >= 0),
  fee {bigint} NOT NULL CHECK (fee >= 0 AND fee <= amount),
  back_to text NOT NULL CHECK (back_to IN ('', 'escrow', 'merchant', 'buyer')),
  reason text NOT NULL,
  notify_url text NOT NULL,
  splits text NOT NULL,
  code text NOT NULL,
  created_at {bigint} NOT NULL,
  ended_at {bigint},
  PRIMARY KEY (merchant_id, out_trade_no, n),
  CHECK (from_escrow + from_pending + from_reserve + from_available = amount),
  CHECK ((ended_at IS NULL) = (state = 'accepted')),
  CHECK (CASE back_to WHEN '' THEN state <> 'failed' WHEN 'buyer' THEN state = 'succeeded' ELSE state = 'failed' END)
) {strict};
CREATE INDEX refund_number ON refund (merchant_id, refund_no) WHERE refund_no <> '';

CREATE TABLE trade_return (
  merchant_id text NOT NULL,
  out_trade_no text NOT NULL,
  refunds {bigint} NOT NULL CHECK (refunds BETWEEN 0 AND 300),
  refunding {bigint} NOT NULL CHECK (refunding >= 0),
  from_escrow {bigint} NOT NULL CHECK (from_escrow >= 0),
  fee_back {bigint} NOT NULL CHECK (fee_back >= 0),
  charged_back {bigint} NOT NULL CHECK (charged_back >= 0),
  extended {bool} NOT NULL,
  refunded_at {bigint},
  PRIMARY KEY (merchant_id, out_trade_no)
) {strict};

CREATE TABLE claim (
  merchant_id text NOT NULL,
  out_trade_no text NOT NULL,
  round {bigint} NOT NULL CHECK (round > 0),
  state text NOT NULL CHECK (state IN ('asked', 'refused', 'returning', 'returned', 'disputed', 'agreed', 'withdrawn',
                                       'decided')),
  amount {bigint} NOT NULL CHECK (amount > 0 AND amount <= 10000000000000),
  currency text NOT NULL,
  goods {bool} NOT NULL,
  reason text NOT NULL,
  answer text NOT NULL,
  carrier text NOT NULL,
  tracking_no text NOT NULL,
  left_over {bigint} NOT NULL CHECK (left_over >= 0),
  disputed_by text NOT NULL CHECK (disputed_by IN ('', 'buyer', 'seller')),
  proposal {bigint} NOT NULL CHECK (proposal >= 0),
  proposed_by text NOT NULL,
  proposal_reason text NOT NULL,
  decided_by text NOT NULL,
  refund_n {bigint} NOT NULL CHECK (refund_n >= 0),
  opened_at {bigint} NOT NULL,
  moved_at {bigint} NOT NULL,
  PRIMARY KEY (merchant_id, out_trade_no),
  CHECK (decided_by = '' OR decided_by <> proposed_by)
) {strict};

CREATE TABLE refund_batch (
  merchant_id text NOT NULL,
  batch_no text NOT NULL,
  batch_id text NOT NULL UNIQUE,
  protocol text NOT NULL,
  state text NOT NULL CHECK (state IN ('asked', 'running', 'done', 'closed')),
  lines {bigint} NOT NULL CHECK (lines > 0),
  ended {bigint} NOT NULL CHECK (ended BETWEEN 0 AND lines),
  digest text NOT NULL,
  notify_url text NOT NULL,
  echo text NOT NULL,
  agreed_by text NOT NULL,
  created_at {bigint} NOT NULL,
  ended_at {bigint},
  PRIMARY KEY (merchant_id, batch_no)
) {strict};
CREATE INDEX refund_batch_running ON refund_batch (created_at) WHERE state = 'running';

CREATE TABLE refund_line (
  merchant_id text NOT NULL,
  batch_no text NOT NULL,
  n {bigint} NOT NULL CHECK (n > 0),
  trade_no text NOT NULL,
  amount {bigint} NOT NULL CHECK (amount > 0 AND amount <= 10000000000000),
  currency text NOT NULL,
  reason text NOT NULL,
  splits text NOT NULL,
  state text NOT NULL CHECK (state IN ('waiting', 'accepted', 'succeeded', 'failed')),
  code text NOT NULL,
  out_trade_no text NOT NULL,
  refund_n {bigint} NOT NULL CHECK (refund_n >= 0),
  ended_at {bigint},
  PRIMARY KEY (merchant_id, batch_no, n)
) {strict};

CREATE TABLE correction (
  correction_id text NOT NULL PRIMARY KEY,
  kind text NOT NULL CHECK (kind IN ('correct', 'write_off', 'late')),
  case_id text NOT NULL,
  merchant_id text NOT NULL,
  out_trade_no text NOT NULL,
  debit text NOT NULL,
  credit text NOT NULL,
  amount {bigint} NOT NULL CHECK (amount > 0 AND amount <= 10000000000000),
  currency text NOT NULL,
  reason text NOT NULL CHECK (reason <> ''),
  state text NOT NULL CHECK (state IN ('proposed', 'posted', 'refused')),
  maker text NOT NULL CHECK (maker <> ''),
  checker text NOT NULL,
  proposed_at {bigint} NOT NULL,
  decided_at {bigint},
  CHECK (debit <> credit),
  CHECK ((state = 'proposed') = (decided_at IS NULL)),
  CHECK (state = 'proposed' OR checker <> ''),
  CHECK (state <> 'posted' OR checker <> maker)
) {strict};

CREATE TABLE chargeback (
  bank text NOT NULL,
  bank_ref text NOT NULL,
  instruction_no text NOT NULL,
  merchant_id text NOT NULL,
  out_trade_no text NOT NULL,
  amount {bigint} NOT NULL CHECK (amount > 0 AND amount <= 10000000000000),
  currency text NOT NULL,
  from_pending {bigint} NOT NULL CHECK (from_pending >= 0),
  from_reserve {bigint} NOT NULL CHECK (from_reserve >= 0),
  from_available {bigint} NOT NULL CHECK (from_available >= 0),
  short {bigint} NOT NULL CHECK (short >= 0),
  at {bigint} NOT NULL,
  PRIMARY KEY (bank, bank_ref),
  CHECK (from_pending + from_reserve + from_available + short = amount)
) {strict};
