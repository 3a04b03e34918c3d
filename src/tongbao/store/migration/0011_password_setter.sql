-- Which operator of the platform entered, with a password, the merchant's person who agreed: he knows it, maybe, and is
-- no second person beside him. '' for the platform's own operators, and for what ran before that was asked.

ALTER TABLE payout_batch ADD COLUMN first_maker text NOT NULL DEFAULT '';
ALTER TABLE payout_batch ADD COLUMN checker_maker text NOT NULL DEFAULT '';
UPDATE payout_batch SET first_maker = COALESCE((
  SELECT o.maker FROM merchant_operator o WHERE o.merchant_id = payout_batch.merchant_id
  AND payout_batch.first = o.merchant_id || '/op:' || o.name), '')
WHERE state = 'proposed' AND first <> '';
