-- name: settle.merchants
-- who has money that is not settled yet
SELECT m.merchant_id FROM merchant m JOIN account a ON a.code = 'merchant:' || m.merchant_id || ':pending:CNY'
WHERE a.balance > 0 AND m.status = 'approved' AND m.merchant_id > :beyond ORDER BY m.merchant_id LIMIT :most;

-- name: settle.waiting
-- whether settlement has anything to do at all, some day
SELECT 1 FROM account WHERE code LIKE 'merchant:%' AND (code LIKE '%:pending:CNY' OR code LIKE '%:reserve:CNY') AND balance > 0 LIMIT 1;

-- name: settle.last_day
SELECT COALESCE(MAX(day), 0) FROM settlement WHERE merchant_id = :merchant_id AND kind = 'daily' AND state = 'done';

-- name: settle.open
-- batches that stopped on the way
SELECT merchant_id, settlement_no FROM settlement WHERE merchant_id = :merchant_id AND state = 'open' ORDER BY settlement_no;

-- name: settle.candidates
SELECT out_trade_no FROM (
  SELECT out_trade_no FROM entry
  WHERE merchant_id = :merchant_id AND business_day > :since AND business_day <= :day AND out_trade_no > :beyond
  UNION SELECT out_trade_no FROM share WHERE merchant_id = :merchant_id AND held AND out_trade_no > :beyond
) AS moved ORDER BY out_trade_no LIMIT :most;

-- name: settle.taken_back
-- trades of earlier batches that moved since: what was taken back of them comes off the next batch, whenever it was
SELECT DISTINCT e.out_trade_no FROM entry e JOIN share s ON s.merchant_id = e.merchant_id AND s.out_trade_no = e.out_trade_no
WHERE e.merchant_id = :merchant_id AND e.business_day >= :since AND e.kind NOT IN ('pay', 'release') AND s.settled <> 0
AND e.out_trade_no > :beyond ORDER BY e.out_trade_no LIMIT :most;

-- name: settle.sums
-- what moved on one account, by trade and kind of entry: in, out, and of these from and to the platform's fees
SELECT e.out_trade_no, e.kind,
  CAST(SUM(CASE WHEN p.credit = :code THEN p.amount ELSE 0 END) AS {bigint}),
  CAST(SUM(CASE WHEN p.debit = :code THEN p.amount ELSE 0 END) AS {bigint}),
  CAST(SUM(CASE WHEN p.debit LIKE 'platform:%:fee:%' THEN p.amount ELSE 0 END) AS {bigint}),
  CAST(SUM(CASE WHEN p.credit LIKE 'platform:%:fee:%' THEN p.amount ELSE 0 END) AS {bigint})
FROM entry e JOIN posting p ON p.lane = e.lane AND p.seq = e.seq
WHERE e.merchant_id = :merchant_id AND e.out_trade_no {in trades} AND (p.credit = :code OR p.debit = :code)
GROUP BY e.out_trade_no, e.kind ORDER BY e.out_trade_no, e.kind;

-- name: settle.reserves
SELECT merchant_id, settlement_no FROM settlement WHERE reserve_until <= :now ORDER BY reserve_until LIMIT :most;

-- name: settle.of_day
SELECT merchant_id, settlement_no FROM settlement WHERE day = :day ORDER BY merchant_id, settlement_no;

-- name: settle.of_merchant
SELECT settlement_no FROM settlement WHERE merchant_id = :merchant_id ORDER BY created_at DESC, settlement_no DESC LIMIT :most;

-- name: settle.lines
SELECT out_trade_no, gross, charged, refunded, shared, before, amount FROM settlement_line
WHERE merchant_id = :merchant_id AND settlement_no = :settlement_no AND out_trade_no > :beyond
ORDER BY out_trade_no LIMIT :most;

-- name: calendar.all
SELECT day, CASE WHEN working THEN 1 ELSE 0 END, actor, reason, at FROM calendar_day ORDER BY day;
