-- A card may be closed after it paid: its bank refuses what is to go back to it.

ALTER TABLE bank_card RENAME TO bank_card_before;
DROP INDEX bank_card_of_bank;

CREATE TABLE bank_card (
  number text NOT NULL PRIMARY KEY,
  bank text NOT NULL,
  kind text NOT NULL CHECK (kind IN ('debit', 'credit')),
  holder text NOT NULL,
  password_hash text NOT NULL,
  hint text NOT NULL,
  outcome text NOT NULL CHECK (outcome IN ('ok', 'insufficient', 'slow', 'lost', 'late', 'closed')),
  delay {bigint} NOT NULL CHECK (delay >= 0),
  wrong {bigint} NOT NULL CHECK (wrong >= 0),
  locked_until_wire {bigint} NOT NULL,
  opened_at {bigint} NOT NULL
) {strict};

INSERT INTO bank_card SELECT * FROM bank_card_before;
DROP TABLE bank_card_before;
CREATE INDEX bank_card_of_bank ON bank_card (bank, kind, number);
