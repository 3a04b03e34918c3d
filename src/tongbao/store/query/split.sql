-- name: split.by_no
SELECT out_trade_no FROM split WHERE merchant_id = :merchant_id AND split_no = :split_no ORDER BY out_trade_no LIMIT 2;

-- name: split.parts
SELECT p.split_no, p.n FROM split_part p
JOIN split s ON s.merchant_id = p.merchant_id AND s.out_trade_no = p.out_trade_no AND s.split_no = p.split_no
WHERE p.merchant_id = :merchant_id AND p.out_trade_no = :out_trade_no ORDER BY s.created_at, s.split_id, p.n;

-- name: split.waiting
SELECT s.merchant_id, s.out_trade_no FROM share s
JOIN trade t ON t.merchant_id = s.merchant_id AND t.out_trade_no = s.out_trade_no
WHERE s.waiting AND t.paid_attempt > 0 AND t.state IN ('paid', 'finished')
ORDER BY t.paid_at, s.merchant_id, s.out_trade_no LIMIT :most;

-- name: split.by_id
SELECT out_trade_no, split_no FROM split WHERE split_id = :split_id AND merchant_id = :merchant_id;
