-- Persons who agree in a merchant's name; a batch of payouts says whether it asks for one, and who was the first of two.

CREATE TABLE merchant_operator (
  merchant_id text NOT NULL REFERENCES merchant (merchant_id),
  name text NOT NULL CHECK (name <> ''),
  status text NOT NULL CHECK (status IN ('entered', 'active', 'disabled')),
  pay_hash text NOT NULL CHECK (pay_hash LIKE 'scrypt:%:%:%:%:%'),
  attempts {bigint} NOT NULL CHECK (attempts >= 0),
  locked_until {bigint} NOT NULL,
  maker text NOT NULL CHECK (maker <> ''),
  checker text NOT NULL CHECK (checker <> maker),
  changed_at {bigint} NOT NULL,
  version {bigint} NOT NULL CHECK (version > 0),
  PRIMARY KEY (merchant_id, name),
  CHECK (status <> 'active' OR checker <> '')
) {strict};

ALTER TABLE payout_batch ADD COLUMN asks {bool} NOT NULL DEFAULT FALSE;
ALTER TABLE payout_batch ADD COLUMN first text NOT NULL DEFAULT '' CHECK (first = '' OR (first <> maker AND first <> checker));
