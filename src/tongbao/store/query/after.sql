-- name: refund.of_trade
SELECT n FROM refund WHERE merchant_id = :merchant_id AND out_trade_no = :out_trade_no ORDER BY n;

-- name: refund.by_no
SELECT out_trade_no, n FROM refund WHERE merchant_id = :merchant_id AND refund_no = :refund_no
ORDER BY out_trade_no, n;

-- name: refund.by_id
SELECT out_trade_no, n FROM refund WHERE refund_id = :refund_id AND merchant_id = :merchant_id;
