-- name: refund.of_trade
SELECT n FROM refund WHERE merchant_id = :merchant_id AND out_trade_no = :out_trade_no ORDER BY n;

-- name: refund.by_no
SELECT out_trade_no, n FROM refund WHERE merchant_id = :merchant_id AND refund_no = :refund_no
ORDER BY out_trade_no, n;

-- name: refund.by_id
SELECT out_trade_no, n FROM refund WHERE refund_id = :refund_id AND merchant_id = :merchant_id;

-- name: refund.batch_lines
SELECT n FROM refund_line WHERE merchant_id = :merchant_id AND batch_no = :batch_no ORDER BY n;

-- name: refund.batch_by_id
SELECT merchant_id, batch_no FROM refund_batch WHERE batch_id = :batch_id;

-- name: refund.lines_due
-- lines of running batches whose turn it is, or whose refund has ended since; with their trade's number where it exists
SELECT l.merchant_id, l.batch_no, l.n, l.state, b.protocol, COALESCE(t.out_trade_no, ''), l.refund_n, l.splits
FROM refund_batch b
JOIN refund_line l ON l.merchant_id = b.merchant_id AND l.batch_no = b.batch_no
LEFT JOIN trade t ON t.trade_no = l.trade_no AND t.merchant_id = l.merchant_id
WHERE b.state = 'running' AND (l.state = 'waiting' OR (l.state = 'accepted' AND EXISTS (
  SELECT 1 FROM refund r WHERE r.merchant_id = l.merchant_id AND r.out_trade_no = l.out_trade_no AND r.n = l.refund_n
  AND r.state <> 'accepted')))
ORDER BY b.created_at, l.batch_no, l.n LIMIT :most;

-- name: receivable.payable
-- merchants who owe something and have settled money
SELECT m.merchant_id, d.currency FROM account d
JOIN merchant m ON d.code = 'merchant:' || m.merchant_id || ':receivable:' || d.currency
JOIN account a ON a.code = 'merchant:' || m.merchant_id || ':available:' || d.currency
WHERE d.balance < 0 AND a.balance > 0 AND NOT a.frozen AND d.code LIKE 'merchant:%:receivable:%'
ORDER BY m.merchant_id LIMIT :most;

-- name: correction.open
SELECT correction_id FROM correction WHERE state = 'proposed' ORDER BY proposed_at, correction_id LIMIT :most;

-- name: instruction.by_ref
SELECT instruction_no FROM instruction WHERE bank = :bank AND kind = :kind AND bank_ref = :bank_ref AND bank_ref <> '';

-- name: claim.disputed
SELECT merchant_id, out_trade_no FROM claim WHERE state = 'disputed' ORDER BY moved_at, merchant_id, out_trade_no LIMIT :most;
