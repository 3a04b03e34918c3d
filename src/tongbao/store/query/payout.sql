-- name: payout.by_id
SELECT merchant_id, batch_no, payout_no FROM payout WHERE payout_id = :payout_id;

-- name: payout.waiting
-- lines of a running batch that nobody has acted on
SELECT payout_no FROM payout WHERE merchant_id = :merchant_id AND batch_no = :batch_no AND state = 'proposed'
ORDER BY n LIMIT :most;

-- name: payout.running
SELECT merchant_id, batch_no FROM payout_batch b WHERE state = 'running' AND EXISTS (
  SELECT 1 FROM payout p WHERE p.merchant_id = b.merchant_id AND p.batch_no = b.batch_no AND p.state = 'proposed')
ORDER BY started_at, merchant_id, batch_no LIMIT :most;

-- name: payout.of_batch
SELECT payout_no FROM payout WHERE merchant_id = :merchant_id AND batch_no = :batch_no AND n > :number
ORDER BY n LIMIT :most;

-- name: payout.of_state
-- so many lines of a batch that stand in one of some states, after the first of them
SELECT payout_no FROM payout WHERE merchant_id = :merchant_id AND batch_no = :batch_no AND state {in states}
ORDER BY n LIMIT :most OFFSET :start;

-- name: payout.sums
-- how many lines of a batch stand in which state, and for how much
SELECT state, COUNT(*), CAST(SUM(amount) AS {bigint}) FROM payout
WHERE merchant_id = :merchant_id AND batch_no = :batch_no GROUP BY state ORDER BY state;

-- name: payout.batches
SELECT batch_no FROM payout_batch WHERE merchant_id = :merchant_id ORDER BY created_at DESC, batch_no DESC LIMIT :most;

-- name: payout.cards
-- whom standing payouts are made to: nobody whose last one waits for a second person, or for somebody who looks at it
SELECT c.merchant_id FROM payout_card c WHERE c.standing <> 'off' AND c.state = 'verified'
AND NOT EXISTS (SELECT 1 FROM payout p WHERE p.merchant_id = c.merchant_id AND p.batch_no = '' AND p.state = 'proposed'
                AND p.source = 'standing')
AND NOT EXISTS (SELECT 1 FROM case_file f WHERE f.merchant_id = c.merchant_id AND f.state = 'open'
                AND f.kind = 'standing_refused')
ORDER BY c.merchant_id;

-- name: party.named
-- buyers and merchants by number or login
SELECT 'buyer', buyer_id, login FROM buyer WHERE buyer_id {in words} OR login {in words}
UNION ALL SELECT 'merchant', merchant_id, login FROM merchant WHERE merchant_id {in words} OR login {in words}
ORDER BY 1, 2;

-- name: payout.batch_by_id
SELECT merchant_id, batch_no FROM payout_batch WHERE batch_id = :payout_id;

-- name: payout.anything
-- whether shares wait to be given, or lines of batches to be acted on: one look for two duties
SELECT what FROM (
  SELECT 'split' AS what FROM share s
  JOIN trade t ON t.merchant_id = s.merchant_id AND t.out_trade_no = s.out_trade_no
  WHERE s.waiting AND t.paid_attempt > 0 AND t.state IN ('paid', 'finished') LIMIT 1
) AS splits
UNION ALL
SELECT what FROM (
  SELECT 'batch' AS what FROM payout_batch b WHERE b.state = 'running' AND EXISTS (
    SELECT 1 FROM payout p WHERE p.merchant_id = b.merchant_id AND p.batch_no = b.batch_no AND p.state = 'proposed') LIMIT 1
) AS batches;
