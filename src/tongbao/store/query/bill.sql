-- What bills are made of. Within a lane times never go back, so a stretch of time is a stretch of numbers.

-- name: bill.entry_at
SELECT at FROM entry WHERE lane = :lane AND seq = :seq;

-- name: bill.lanes
SELECT lane, entry_seq, moved_at, lease_until FROM lane ORDER BY lane;

-- name: bill.page
-- postings of a stretch of one lane that touch accounts with a prefix, after (seq_from, n_after), in order
SELECT e.seq, p.n, e.at, e.key, e.kind, e.merchant_id, e.out_trade_no, p.debit, p.credit, p.amount
FROM entry e JOIN posting p ON p.lane = e.lane AND p.seq = e.seq
WHERE e.lane = :lane AND e.seq >= :seq_from AND e.seq < :seq_end AND (e.seq > :seq_from OR p.n > :n_after)
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
  WHERE p.lane = :lane AND p.seq >= :seq_from AND p.seq < :seq_end AND p.credit {in codes}
  UNION ALL
  SELECT a.currency, -p.amount FROM posting p JOIN account a ON a.code = p.debit
  WHERE p.lane = :lane AND p.seq >= :seq_from AND p.seq < :seq_end AND p.debit {in codes}
) AS leg GROUP BY currency;

-- name: bill.refund_numbers
SELECT refund_id, refund_no, created_at FROM refund WHERE refund_id {in ids};

-- name: statement.own
-- what a bank was asked for and did, as the books know it
SELECT instruction_no, kind, amount, currency, moved_at FROM instruction
WHERE bank = :bank AND state = 'succeeded' AND moved_at >= :since AND moved_at < :until
AND (moved_at > :moved_after OR (moved_at = :moved_after AND instruction_no > :number_after))
ORDER BY moved_at, instruction_no LIMIT :most;

-- name: statement.instructions
SELECT instruction_no, kind, amount, currency, state FROM instruction WHERE instruction_no {in numbers};

-- name: statement.last
SELECT bank, MAX(day) FROM statement GROUP BY bank;

-- name: statement.banks
-- every bank that owes or owed us anything, or was asked for something: it may have money of which we never heard;
-- asked once a day, and right under every collation
SELECT code, opened_at FROM account WHERE code LIKE 'bank:%'
UNION ALL
SELECT 'bank:' || bank, MIN(created_at) FROM instruction GROUP BY bank;

-- name: statement.of_trade
SELECT i.instruction_no, i.bank, i.kind, i.moved_at, COALESCE(g.state, ''), COALESCE(g.case_id, '') FROM instruction i
LEFT JOIN gap g ON g.bank = i.bank AND g.kind = i.kind AND g.number = i.instruction_no
WHERE i.merchant_id = :merchant_id AND i.out_trade_no = :out_trade_no AND i.state = 'succeeded'
ORDER BY i.moved_at, i.instruction_no;

-- name: statement.all
SELECT bank, day, digest, lines, income, outcome, matched, waiting, differences, at FROM statement
ORDER BY day DESC, bank LIMIT :most;

-- name: gap.waiting
SELECT kind, number, side, amount, currency, at, day FROM gap
WHERE bank = :bank AND day < :day AND (state = 'waiting' OR closed_day = :day) ORDER BY kind, number, side;

-- name: story.settlements
SELECT settlement_no, gross, charged, refunded, shared, amount FROM settlement_line
WHERE merchant_id = :merchant_id AND out_trade_no = :out_trade_no ORDER BY settlement_no;

-- name: story.shares
SELECT split_no, COALESCE(NULLIF(receiver_login, ''), receiver_id), amount, returned FROM split_part
WHERE merchant_id = :merchant_id AND out_trade_no = :out_trade_no ORDER BY split_no, n;
