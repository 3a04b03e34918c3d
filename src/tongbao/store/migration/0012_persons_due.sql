-- A single payout has a first of two persons, too; and whatever started says how many persons had to agree to it.

ALTER TABLE payout ADD COLUMN first text NOT NULL DEFAULT '' CHECK (first = '' OR (first <> maker AND first <> checker));
ALTER TABLE payout ADD COLUMN due {bigint} NOT NULL DEFAULT 0 CHECK (due >= 0);
ALTER TABLE payout_batch ADD COLUMN due {bigint} NOT NULL DEFAULT 0 CHECK (due >= 0);

-- what started before took as many as it had
UPDATE payout SET due = 1 WHERE checker <> '' AND state IN ('sent', 'succeeded', 'failed');
UPDATE payout_batch SET due = (CASE WHEN first <> '' THEN 1 ELSE 0 END) + (CASE WHEN checker <> '' THEN 1 ELSE 0 END)
WHERE state IN ('running', 'done');
