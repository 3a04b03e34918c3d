-- What bills are made of. Within a lane times never go back, so a stretch of time is a stretch of numbers.

-- name: bill.entry_at
SELECT at FROM entry WHERE lane = :lane AND seq = :seq;

-- name: bill.lanes
SELECT lane, entry_seq, moved_at, lease_until FROM lane ORDER BY lane;

-- name: bill.page
-- postings of a stretch of one lane that touch accounts with a prefix, after (after, after_n), in order
SELECT e.seq, p.n, e.at, e.key, e.kind, e.merchant_id, e.out_trade_no, p.debit, p.credit, p.amount
FROM entry e JOIN posting p ON p.lane = e.lane AND p.seq = e.seq
WHERE e.lane = :lane AND e.seq >= :after AND e.seq < :before AND (e.seq > :after OR p.n > :after_n)
AND (substr(p.debit, 1, LENGTH(CAST(:prefix AS text))) = CAST(:prefix AS text)
  OR substr(p.credit, 1, LENGTH(CAST(:prefix AS text))) = CAST(:prefix AS text))
ORDER BY e.seq, p.n LIMIT :most;

-- name: bill.stand
-- how far every lane is, and the balances that belong to exactly that: one statement, one snapshot
SELECT lane, entry_seq, '' AS currency, 0 AS balance FROM lane
UNION ALL
SELECT 0, 0, currency, balance FROM account WHERE code {in codes};

-- name: bill.change
-- what a stretch of one lane did to some accounts together, by currency
SELECT currency, CAST(SUM(amount) AS {bigint}) FROM (
  SELECT a.currency, p.amount FROM posting p JOIN account a ON a.code = p.credit
  WHERE p.lane = :lane AND p.seq > :after AND p.seq <= :last AND p.credit {in codes}
  UNION ALL
  SELECT a.currency, -p.amount FROM posting p JOIN account a ON a.code = p.debit
  WHERE p.lane = :lane AND p.seq > :after AND p.seq <= :last AND p.debit {in codes}
) AS leg GROUP BY currency;
