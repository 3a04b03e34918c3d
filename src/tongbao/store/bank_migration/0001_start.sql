-- The simulated banks' own book: cards, orders, entries, notices. It shares nothing with the platform's books.
-- Sums are minor units; times are milliseconds of business time unless a name says wire.

CREATE TABLE bank_card (
  number text NOT NULL PRIMARY KEY,
  bank text NOT NULL,
  kind text NOT NULL CHECK (kind IN ('debit', 'credit')),
  holder text NOT NULL,
  password_hash text NOT NULL,
  hint text NOT NULL,
  outcome text NOT NULL CHECK (outcome IN ('ok', 'insufficient', 'slow', 'lost', 'late')),
  delay {bigint} NOT NULL CHECK (delay >= 0),
  wrong {bigint} NOT NULL CHECK (wrong >= 0),
  locked_until_wire {bigint} NOT NULL,
  opened_at {bigint} NOT NULL
) {strict};

CREATE INDEX bank_card_of_bank ON bank_card (bank, kind, number);

CREATE TABLE bank_account (
  code text NOT NULL PRIMARY KEY,
  bank text NOT NULL,
  balance {bigint} NOT NULL,
  lowest {bigint} NOT NULL,
  CHECK (balance >= lowest)
) {strict};

CREATE TABLE bank_order (
  instruction_no text NOT NULL PRIMARY KEY,
  bank text NOT NULL,
  kind text NOT NULL CHECK (kind IN ('pay', 'refund', 'payout')),
  method text NOT NULL,
  amount {bigint} NOT NULL CHECK (amount > 0),
  currency text NOT NULL,
  subject text NOT NULL,
  code text NOT NULL,
  pays text NOT NULL,
  notice_url text NOT NULL,
  card text NOT NULL,
  state text NOT NULL CHECK (state IN ('open', 'accepted', 'succeeded', 'failed')),
  reason text NOT NULL,
  bank_ref text NOT NULL,
  quiet {bool} NOT NULL,
  made_at {bigint} NOT NULL,
  act_at {bigint},
  ended_at {bigint}
) {strict};

CREATE UNIQUE INDEX bank_order_code ON bank_order (code) WHERE code <> '';
CREATE UNIQUE INDEX bank_order_ref ON bank_order (bank_ref) WHERE bank_ref <> '';
CREATE INDEX bank_order_due ON bank_order (act_at) WHERE act_at IS NOT NULL;
CREATE INDEX bank_order_pays ON bank_order (pays) WHERE pays <> '';

CREATE TABLE bank_entry (
  seq {bigint} NOT NULL PRIMARY KEY,
  key text NOT NULL UNIQUE,
  kind text NOT NULL,
  bank text NOT NULL,
  debit text NOT NULL REFERENCES bank_account (code),
  credit text NOT NULL REFERENCES bank_account (code),
  amount {bigint} NOT NULL CHECK (amount > 0),
  at {bigint} NOT NULL,
  business_day {bigint} NOT NULL,
  CHECK (debit <> credit)
) {strict};

CREATE INDEX bank_entry_day ON bank_entry (bank, business_day, seq);

{append_only bank_entry}

CREATE TABLE bank_notice (
  instruction_no text NOT NULL PRIMARY KEY REFERENCES bank_order (instruction_no),
  tries {bigint} NOT NULL,
  next_at {bigint},
  answered text NOT NULL
) {strict};

CREATE INDEX bank_notice_due ON bank_notice (next_at) WHERE next_at IS NOT NULL;
