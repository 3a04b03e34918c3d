-- Invariants of settlement, payouts and splits. As in audit.sql: the right answer is no row.

-- name: audit.payouts_aside
-- what is set aside for payouts is what is under way, fees included
SELECT code, CAST(SUM(amount) AS {bigint}) FROM (
  SELECT code, balance AS amount FROM account WHERE code LIKE 'merchant:%:payout:%'
  UNION ALL
  SELECT 'merchant:' || merchant_id || ':payout:' || currency, -(amount + fee) FROM payout WHERE state = 'sent'
  UNION ALL
  SELECT 'merchant:' || p.merchant_id || ':payout:' || p.currency, -(p.amount + p.fee) FROM payout p
  JOIN payout_batch b ON b.merchant_id = p.merchant_id AND b.batch_no = p.batch_no
  WHERE p.state = 'proposed' AND b.state = 'running'
) AS aside
GROUP BY code HAVING SUM(amount) <> 0 ORDER BY code LIMIT 20;

-- name: audit.payout_ends
-- each payout ends once: sent out, or given back; and no such entry is without its payout
SELECT p.payout_id, p.state FROM payout p WHERE
  (SELECT COUNT(*) FROM entry e WHERE e.key = 'payout:' || p.payout_id)
  <> (CASE WHEN p.state = 'succeeded' THEN 1 ELSE 0 END)
OR (SELECT COUNT(*) FROM entry e WHERE e.key = 'payout_return:' || p.payout_id)
  <> (CASE WHEN p.state = 'failed' THEN 1 ELSE 0 END)
UNION ALL
SELECT e.key, e.kind FROM entry e WHERE e.kind IN ('payout', 'payout_return') AND NOT EXISTS (
  SELECT 1 FROM payout p WHERE p.payout_id = substr(e.key, LENGTH(e.kind) + 2) AND p.merchant_id = e.merchant_id)
UNION ALL
SELECT e.key, e.kind FROM entry e WHERE e.kind = 'payout_hold' AND NOT EXISTS (
  SELECT 1 FROM payout p WHERE p.payout_id = substr(e.key, 13) AND p.batch_no = '' AND p.kind = 'card')
AND NOT EXISTS (
  SELECT 1 FROM payout_batch b WHERE b.batch_id = substr(e.key, 13) AND b.state IN ('running', 'done'))
LIMIT 20;

-- name: audit.payout_sums
-- what an ended payout moved is its own sum and fee
SELECT p.payout_id, CAST(SUM(p.amount) AS {bigint}) FROM (
  SELECT payout_id, amount + fee AS amount FROM payout WHERE state IN ('succeeded', 'failed')
  UNION ALL
  SELECT substr(e.key, LENGTH(e.kind) + 2), -g.amount FROM entry e JOIN posting g ON g.lane = e.lane AND g.seq = e.seq
  WHERE e.kind IN ('payout', 'payout_return')
) AS p
GROUP BY p.payout_id HAVING SUM(p.amount) <> 0 LIMIT 20;

-- name: audit.payout_instructions
-- a bank was asked once for each payout to a card, and both say the same
SELECT p.payout_id, p.state, COALESCE(i.state, 'none') FROM payout p
LEFT JOIN instruction i ON i.instruction_no = p.payout_id || 'O' AND i.kind = 'payout'
WHERE (p.state = 'sent' AND (i.state IS NULL OR i.state NOT IN ('created', 'unknown')))
OR (p.kind = 'card' AND p.state = 'succeeded' AND (i.state IS NULL OR i.state <> 'succeeded'))
OR (i.state = 'failed' AND p.state <> 'failed') OR (i.state = 'succeeded' AND p.state <> 'succeeded')
OR i.amount <> p.amount OR i.currency <> p.currency OR i.merchant_id <> p.merchant_id
LIMIT 20;

-- name: audit.bank_effects
-- an entry moved at a bank what the one instruction behind it that succeeded, or the chargeback, says; nobody else did
SELECT key, code, CAST(SUM(amount) AS {bigint}) FROM (
  SELECT w.key, 'bank:' || w.bank || ':' || CAST(e.lane AS text) || ':' || w.currency AS code, w.amount FROM (
    SELECT CASE WHEN p.state = 'captured' THEN 'pay:' || substr(p.payment_no, 1, 28) ELSE 'late:' || p.payment_no END AS key,
      i.bank, i.currency, i.amount FROM instruction i
    JOIN payment p ON p.merchant_id = i.merchant_id AND p.out_trade_no = i.out_trade_no AND p.attempt = i.attempt
    WHERE i.kind = 'pay' AND i.state = 'succeeded'
    UNION ALL
    SELECT CASE WHEN i.kind = 'payout' THEN 'payout:' || substr(i.instruction_no, 1, LENGTH(i.instruction_no) - 1)
      WHEN i.instruction_no LIKE '%R' THEN 'return:' || substr(i.instruction_no, 1, LENGTH(i.instruction_no) - 1)
      ELSE 'refunded:' || substr(i.instruction_no, 1, 28) || substr(i.instruction_no, 32) END,
      i.bank, i.currency, -i.amount FROM instruction i
    WHERE i.kind <> 'pay' AND i.state = 'succeeded'
    UNION ALL
    SELECT 'chargeback:' || bank || ':' || bank_ref, bank, currency, -amount FROM chargeback
  ) w LEFT JOIN entry e ON e.key = w.key
  UNION ALL
  SELECT e.key, p.debit, -p.amount FROM posting p JOIN entry e ON e.lane = p.lane AND e.seq = p.seq
  WHERE p.debit LIKE 'bank:%' AND e.kind NOT IN ('topup', 'statement', 'correct')
  UNION ALL
  SELECT e.key, p.credit, p.amount FROM posting p JOIN entry e ON e.lane = p.lane AND e.seq = p.seq
  WHERE p.credit LIKE 'bank:%' AND e.kind NOT IN ('topup', 'statement', 'correct')
) AS effects
GROUP BY key, code HAVING SUM(amount) <> 0 LIMIT 20;

-- name: audit.bank_moves
-- what moved at each account with a bank by what the bank did, and not by what its statement or a correction said of it
SELECT code, CAST(SUM(amount) AS {bigint}) FROM (
  SELECT p.debit AS code, -p.amount AS amount FROM posting p JOIN entry e ON e.lane = p.lane AND e.seq = p.seq
  WHERE p.debit LIKE 'bank:%' AND e.kind NOT IN ('statement', 'correct')
  UNION ALL
  SELECT p.credit, p.amount FROM posting p JOIN entry e ON e.lane = p.lane AND e.seq = p.seq
  WHERE p.credit LIKE 'bank:%' AND e.kind NOT IN ('statement', 'correct')
) AS moves GROUP BY code;

-- name: audit.bank_pending
-- what banks were asked for and have not ended, as far as we know
SELECT instruction_no, bank, kind, amount FROM instruction WHERE state NOT IN ('succeeded', 'failed');

-- name: audit.payout_batches
-- a header says what its lines say
SELECT b.merchant_id, b.batch_no, b.state FROM payout_batch b
LEFT JOIN (
  SELECT merchant_id, batch_no, COUNT(*) AS many, SUM(amount) AS total, SUM(fee) AS fee,
    SUM(CASE WHEN state IN ('succeeded', 'failed') THEN 1 ELSE 0 END) AS ended,
    SUM(CASE WHEN state = 'failed' THEN 1 ELSE 0 END) AS failed,
    SUM(CASE WHEN state = 'succeeded' THEN amount ELSE 0 END) AS paid
  FROM payout WHERE batch_no <> '' GROUP BY merchant_id, batch_no
) l ON l.merchant_id = b.merchant_id AND l.batch_no = b.batch_no
WHERE b.loaded <> COALESCE(l.many, 0) OR b.loaded_sum <> COALESCE(l.total, 0) OR b.fee <> COALESCE(l.fee, 0)
OR b.ended <> COALESCE(l.ended, 0) OR b.failed <> COALESCE(l.failed, 0) OR b.paid <> COALESCE(l.paid, 0)
OR (b.state IN ('running', 'done') AND (b.loaded <> b.count OR b.loaded_sum <> b.total))
UNION ALL
SELECT p.merchant_id, p.batch_no, p.payout_no FROM payout p WHERE p.batch_no <> '' AND NOT EXISTS (
  SELECT 1 FROM payout_batch b WHERE b.merchant_id = p.merchant_id AND b.batch_no = p.batch_no)
LIMIT 20;

-- name: audit.counters
-- a counter is what left for payouts on its day
SELECT c.merchant_id, c.name, c.amount FROM counter c WHERE c.amount <> (
  SELECT COALESCE(SUM(p.amount), 0) FROM entry e JOIN posting p ON p.lane = e.lane AND p.seq = e.seq
  WHERE e.merchant_id = c.merchant_id AND e.business_day = c.day AND e.kind IN ('payout', 'payout_hold')
  AND p.debit LIKE 'merchant:%:available:%')
LIMIT 20;

-- name: audit.payout_persons
-- who agreed to a payout is in the log, and is not who entered it; so is who changed a card
SELECT 'payout', payout_id, checker FROM payout p WHERE checker <> '' AND (checker = maker OR NOT EXISTS (
  SELECT 1 FROM audit a WHERE a.subject = p.payout_id AND a.actor = p.checker
  AND a.act IN ('payout.approve', 'payout.refuse')))
UNION ALL
SELECT 'payout', payout_id, first FROM payout p WHERE first <> '' AND (first = maker OR first = checker OR NOT EXISTS (
  SELECT 1 FROM audit a WHERE a.subject = p.payout_id AND a.actor = p.first AND a.act = 'payout.approve'))
UNION ALL
-- what started had as many persons as were due
SELECT 'payout', payout_id, maker FROM payout WHERE state IN ('sent', 'succeeded', 'failed')
AND due > (CASE WHEN first <> '' THEN 1 ELSE 0 END) + (CASE WHEN checker <> '' THEN 1 ELSE 0 END)
UNION ALL
SELECT 'batch', batch_id, maker FROM payout_batch WHERE state IN ('running', 'done')
AND due > (CASE WHEN first <> '' THEN 1 ELSE 0 END) + (CASE WHEN checker <> '' THEN 1 ELSE 0 END)
UNION ALL
SELECT 'batch', batch_id, checker FROM payout_batch b WHERE checker <> '' AND (checker = maker OR NOT EXISTS (
  SELECT 1 FROM audit a WHERE a.subject = b.batch_id AND a.actor = b.checker AND a.act = 'payout.approve'))
UNION ALL
-- where two agreed they are two, neither entered the other, and what asks for a person had one
SELECT 'batch', batch_id, first FROM payout_batch b WHERE first <> '' AND (first = maker OR first = checker OR NOT EXISTS (
  SELECT 1 FROM audit a WHERE a.subject = b.batch_id AND a.actor = b.first AND a.act = 'payout.approve'))
UNION ALL
SELECT 'batch', batch_id, first_maker FROM payout_batch WHERE first_maker <> '' AND first_maker IN (maker, checker)
UNION ALL
SELECT 'batch', batch_id, checker_maker FROM payout_batch WHERE checker_maker <> '' AND checker_maker IN (maker, first)
UNION ALL
SELECT 'batch', batch_id, maker FROM payout_batch
WHERE state IN ('running', 'done') AND first = '' AND checker = '' AND (asks OR source <> 'api')
UNION ALL
SELECT 'refunds', batch_id, agreed_by FROM refund_batch b WHERE agreed_by <> '' AND NOT EXISTS (
  SELECT 1 FROM audit a WHERE a.subject = b.merchant_id || '/' || b.batch_no AND a.actor = b.agreed_by
  AND a.act IN ('refund_batch.agree', 'refund_batch.close'))
UNION ALL
SELECT 'card', merchant_id, checker FROM payout_card c WHERE (state = 'verified' AND (checker = maker OR NOT EXISTS (
  SELECT 1 FROM audit a WHERE a.subject = c.merchant_id AND a.actor = c.checker AND a.act = 'card.verify')))
OR NOT EXISTS (SELECT 1 FROM audit a WHERE a.subject = c.merchant_id AND a.actor = c.maker AND a.act = 'card.put')
UNION ALL
SELECT 'standing', merchant_id, standing FROM payout_card c WHERE standing <> 'off' AND NOT EXISTS (
  SELECT 1 FROM audit a JOIN audit b ON b.subject = a.subject AND b.at = a.at AND b.after_digest = a.after_digest
  WHERE a.subject = c.merchant_id AND a.act = 'card.standing' AND b.act = 'card.standing_agree' AND a.actor <> b.actor)
UNION ALL
SELECT 'switch', name, actor FROM switch w WHERE NOT EXISTS (
  SELECT 1 FROM audit a WHERE a.subject = w.name AND a.actor = w.actor AND a.act IN ('payout.stop', 'payout.go'))
UNION ALL
SELECT 'calendar', CAST(day AS text), actor FROM calendar_day d WHERE NOT EXISTS (
  SELECT 1 FROM audit a WHERE a.subject = CAST(d.day AS text) AND a.actor = d.actor AND a.act IN ('calendar.on', 'calendar.off'))
LIMIT 20;

-- name: audit.settlements
-- a batch is the sum of its lines and has one entry; what an unfinished one gathered waits in between
SELECT s.merchant_id, s.settlement_no, s.state FROM settlement s
LEFT JOIN (SELECT merchant_id, settlement_no, COUNT(*) AS many, SUM(amount) AS amount FROM settlement_line
           GROUP BY merchant_id, settlement_no) l
ON l.merchant_id = s.merchant_id AND l.settlement_no = s.settlement_no
WHERE s.lines <> COALESCE(l.many, 0) OR s.amount <> COALESCE(l.amount, 0)
OR (SELECT COUNT(*) FROM entry e WHERE e.key = 'settle:' || s.settlement_no || ':' || s.merchant_id AND e.kind = 'settle')
  <> (CASE WHEN s.state = 'done' AND s.amount > 0 THEN 1 ELSE 0 END)
UNION ALL
SELECT e.merchant_id, e.key, e.kind FROM entry e WHERE e.kind = 'settle' AND NOT EXISTS (
  SELECT 1 FROM settlement s WHERE s.merchant_id = e.merchant_id AND s.state = 'done'
  AND s.settlement_no = substr(e.key, 8, LENGTH(e.key) - 8 - LENGTH(e.merchant_id)))
LIMIT 20;

-- name: audit.settled_sums
-- what became available, was charged or held back is what the batch says; what waits belongs to open batches
SELECT merchant_id, settlement_no, CAST(SUM(amount) AS {bigint}) FROM (
  SELECT s.merchant_id, s.settlement_no, p.amount FROM settlement s
  JOIN entry e ON e.key = 'settle:' || s.settlement_no || ':' || s.merchant_id
  JOIN posting p ON p.lane = e.lane AND p.seq = e.seq
  WHERE p.credit LIKE 'merchant:%:available:%'
  UNION ALL
  SELECT s.merchant_id, s.settlement_no, -p.amount FROM settlement s
  JOIN entry e ON e.key = 'settle:' || s.settlement_no || ':' || s.merchant_id
  JOIN posting p ON p.lane = e.lane AND p.seq = e.seq
  WHERE p.debit LIKE 'merchant:%:available:%'
  UNION ALL
  SELECT merchant_id, settlement_no, fee + reserve - amount FROM settlement WHERE state = 'done'
) AS moved
GROUP BY merchant_id, settlement_no HAVING SUM(amount) <> 0
UNION ALL
SELECT code, '', CAST(SUM(amount) AS {bigint}) FROM (
  SELECT code, balance AS amount FROM account WHERE code LIKE 'merchant:%:settling:%'
  UNION ALL
  SELECT 'merchant:' || merchant_id || ':settling:' || currency, -amount FROM settlement WHERE state = 'open'
) AS waiting
GROUP BY code HAVING SUM(amount) <> 0
LIMIT 20;

-- name: audit.settled_trades
-- a trade is settled for what its lines say, and a reserve is never more than batches held back
SELECT merchant_id, out_trade_no, CAST(SUM(amount) AS {bigint}) FROM (
  SELECT merchant_id, out_trade_no, amount FROM settlement_line
  UNION ALL SELECT merchant_id, out_trade_no, -settled FROM share
) AS lines
GROUP BY merchant_id, out_trade_no HAVING SUM(amount) <> 0
UNION ALL
SELECT a.code, '', a.balance FROM account a WHERE a.code LIKE 'merchant:%:reserve:%' AND a.balance > (
  SELECT COALESCE(SUM(s.reserve), 0) FROM settlement s
  WHERE s.reserve_until IS NOT NULL AND a.code = 'merchant:' || s.merchant_id || ':reserve:' || s.currency)
LIMIT 20;

-- name: audit.splits
-- a split is the sum of its parts and moved exactly that; what a trade gave and got back is what its parts say;
-- a return moved exactly what it says, and what came back of a split holds all of its returns
SELECT merchant_id, out_trade_no, split_no, CAST(SUM(amount) AS {bigint}) FROM (
  SELECT merchant_id, out_trade_no, split_no, amount FROM split
  UNION ALL SELECT merchant_id, out_trade_no, split_no, -amount FROM split_part
) AS parts
GROUP BY merchant_id, out_trade_no, split_no HAVING SUM(amount) <> 0
UNION ALL
SELECT s.merchant_id, s.out_trade_no, s.split_no, s.amount FROM split s WHERE s.amount <> (
  SELECT COALESCE(SUM(p.amount), 0) FROM entry e JOIN posting p ON p.lane = e.lane AND p.seq = e.seq
  WHERE e.key = 'split:' || s.split_id AND e.kind = 'split' AND e.merchant_id = s.merchant_id
  AND e.out_trade_no = s.out_trade_no)
UNION ALL
SELECT e.merchant_id, e.out_trade_no, e.key, 0 FROM entry e WHERE e.kind = 'split' AND NOT EXISTS (
  SELECT 1 FROM split s WHERE s.split_id = substr(e.key, 7) AND s.merchant_id = e.merchant_id)
UNION ALL
SELECT r.merchant_id, r.out_trade_no, r.return_no, r.amount FROM split_return r WHERE r.amount <> (
  SELECT COALESCE(SUM(p.amount), 0) FROM entry e JOIN posting p ON p.lane = e.lane AND p.seq = e.seq
  WHERE e.key = 'split_back:' || r.return_id AND e.kind = 'split_back' AND e.merchant_id = r.merchant_id
  AND e.out_trade_no = r.out_trade_no AND p.debit = 'merchant:' || r.giver_id || ':available:' || r.currency)
UNION ALL
SELECT r.merchant_id, r.out_trade_no, r.split_no, CAST(SUM(r.amount) AS {bigint}) FROM split_return r
GROUP BY r.merchant_id, r.out_trade_no, r.split_no, r.giver_id HAVING SUM(r.amount) > (
  SELECT COALESCE(SUM(p.returned), 0) FROM split_part p WHERE p.merchant_id = r.merchant_id
  AND p.out_trade_no = r.out_trade_no AND p.split_no = r.split_no
  AND p.receiver = 'merchant' AND p.receiver_id = r.giver_id)
UNION ALL
SELECT e.merchant_id, e.out_trade_no, e.key, 0 FROM entry e WHERE e.kind = 'split_back' AND NOT EXISTS (
  SELECT 1 FROM split_return r WHERE r.return_id = substr(e.key, 12) AND r.merchant_id = e.merchant_id)
AND NOT EXISTS (SELECT 1 FROM refund r WHERE r.refund_id = substr(e.key, 12) AND r.merchant_id = e.merchant_id)
LIMIT 20;

-- name: audit.shares
SELECT merchant_id, out_trade_no, what, CAST(SUM(amount) AS {bigint}) FROM (
  SELECT merchant_id, out_trade_no, 'given' AS what, given AS amount FROM share
  UNION ALL SELECT merchant_id, out_trade_no, 'given', -amount FROM split
  UNION ALL SELECT merchant_id, out_trade_no, 'returned', returned FROM share
  UNION ALL SELECT merchant_id, out_trade_no, 'returned', -returned FROM split_part
  UNION ALL SELECT merchant_id, out_trade_no, 'moved back', returned FROM share
  UNION ALL
  SELECT e.merchant_id, e.out_trade_no, 'moved back', -p.amount FROM entry e
  JOIN posting p ON p.lane = e.lane AND p.seq = e.seq WHERE e.kind = 'split_back'
) AS shares
GROUP BY merchant_id, out_trade_no, what HAVING SUM(amount) <> 0
LIMIT 20;
