-- Bills that were told, banks' statements that were compared, and what did not agree.

CREATE TABLE bill (
  merchant_id text NOT NULL,
  day {bigint} NOT NULL,
  kind text NOT NULL CHECK (kind IN ('trade', 'account')),
  currency text NOT NULL,
  opening {bigint} NOT NULL,
  income {bigint} NOT NULL CHECK (income >= 0),
  outcome {bigint} NOT NULL CHECK (outcome >= 0),
  fee {bigint} NOT NULL,
  lines {bigint} NOT NULL CHECK (lines >= 0),
  made_at {bigint} NOT NULL,
  PRIMARY KEY (merchant_id, day, kind, currency)
) {strict};

CREATE TABLE statement (
  bank text NOT NULL,
  day {bigint} NOT NULL,
  digest text NOT NULL,
  lines {bigint} NOT NULL CHECK (lines >= 0),
  income {bigint} NOT NULL,
  outcome {bigint} NOT NULL,
  matched {bigint} NOT NULL,
  waiting {bigint} NOT NULL,
  differences {bigint} NOT NULL,
  at {bigint} NOT NULL,
  PRIMARY KEY (bank, day)
) {strict};

CREATE TABLE gap (
  bank text NOT NULL,
  kind text NOT NULL,
  number text NOT NULL,
  side text NOT NULL CHECK (side IN ('here', 'there')),
  day {bigint} NOT NULL,
  amount {bigint} NOT NULL CHECK (amount > 0),
  currency text NOT NULL,
  at {bigint} NOT NULL,
  state text NOT NULL CHECK (state IN ('waiting', 'settled', 'case')),
  case_id text NOT NULL,
  closed_day {bigint} NOT NULL,
  PRIMARY KEY (bank, kind, number, side),
  CHECK ((state = 'waiting') = (closed_day = 0)),
  CHECK ((state = 'case') = (case_id <> ''))
) {strict};
CREATE INDEX gap_waiting ON gap (bank, day) WHERE state = 'waiting';

CREATE INDEX instruction_moved ON instruction (bank, moved_at, instruction_no) WHERE state = 'succeeded';
