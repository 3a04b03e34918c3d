-- name: combined.parts
SELECT part_merchant, part_no FROM combined_trade
WHERE merchant_id = :merchant_id AND out_trade_no = :out_trade_no ORDER BY n;

-- name: combined.by_id
SELECT merchant_id, out_trade_no FROM combined WHERE combined_id = :combined_id;
