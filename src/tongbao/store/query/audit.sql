-- Invariants of the books. Every query below answers with what breaks one, so the right answer is no row.
-- Each is one statement over one snapshot; each shows at most twenty rows. service/audit.py gives them their ids.

-- name: audit.entry_sums
-- postings of one entry cancel out in every currency; a posting on an account that does not exist cancels nothing
SELECT lane, seq, currency, CAST(SUM(amount) AS {bigint}) FROM (
  SELECT p.lane, p.seq, a.currency, p.amount FROM posting p JOIN account a ON a.code = p.credit
  UNION ALL
  SELECT p.lane, p.seq, a.currency, -p.amount FROM posting p JOIN account a ON a.code = p.debit
) AS leg
GROUP BY lane, seq, currency HAVING SUM(amount) <> 0 ORDER BY lane, seq LIMIT 20;

-- name: audit.ledger_sums
SELECT currency, CAST(SUM(balance) AS {bigint}) FROM account GROUP BY currency HAVING SUM(balance) <> 0 LIMIT 20;

-- name: audit.balances
SELECT code, CAST(SUM(amount) AS {bigint}) FROM (
  SELECT credit AS code, amount FROM posting
  UNION ALL SELECT debit, -amount FROM posting
  UNION ALL SELECT code, -balance FROM account
) AS leg
GROUP BY code HAVING SUM(amount) <> 0 ORDER BY code LIMIT 20;

-- name: audit.overdrawn
-- fees and suspense of one lane may be below zero, of all lanes together never
SELECT code, balance FROM account
WHERE balance < 0 AND (NOT may_go_negative OR (code NOT LIKE 'bank:%' AND code NOT LIKE 'platform:%:suspense:%'
  AND code NOT LIKE 'platform:%:fee:%' AND code NOT LIKE 'platform:%:loss:%' AND code NOT LIKE 'merchant:%:receivable:%'))
UNION ALL
SELECT currency, CAST(SUM(balance) AS {bigint}) FROM account WHERE code LIKE 'platform:%:fee:%'
GROUP BY currency HAVING SUM(balance) < 0
LIMIT 20;

-- name: audit.entry_parts
-- an entry has postings, a posting has an entry, two different accounts and a sum above zero
SELECT e.lane, e.seq, 'no posting' FROM entry e
WHERE NOT EXISTS (SELECT 1 FROM posting p WHERE p.lane = e.lane AND p.seq = e.seq)
UNION ALL
SELECT p.lane, p.seq, 'no entry' FROM posting p
WHERE NOT EXISTS (SELECT 1 FROM entry e WHERE e.lane = p.lane AND e.seq = p.seq)
UNION ALL
SELECT lane, seq, 'moves nothing' FROM posting WHERE amount <= 0 OR debit = credit
LIMIT 20;

-- name: audit.currencies
SELECT code, currency FROM account WHERE code NOT LIKE '%:' || currency
UNION ALL
SELECT p.debit, p.credit FROM posting p JOIN account d ON d.code = p.debit JOIN account c ON c.code = p.credit
WHERE d.currency <> c.currency
LIMIT 20;

-- name: audit.beyond_head
-- what lies beyond the end that its lane knows of was not written by a committer
SELECT e.lane, e.seq, 'entry' FROM entry e LEFT JOIN lane l ON l.lane = e.lane
WHERE l.lane IS NULL OR e.seq > l.entry_seq
LIMIT 20;

-- name: audit.audit_beyond_head
SELECT a.lane, a.seq, 'audit' FROM audit a LEFT JOIN lane l ON l.lane = a.lane
WHERE l.lane IS NULL OR a.seq > l.audit_seq
LIMIT 20;

-- name: audit.paid_without_money
SELECT t.merchant_id, t.out_trade_no, t.state FROM trade t
WHERE (t.state IN ('paid', 'escrowed', 'shipped', 'finished') OR t.paid_attempt > 0) AND (
  1 <> (SELECT COUNT(*) FROM payment p WHERE p.merchant_id = t.merchant_id AND p.out_trade_no = t.out_trade_no
        AND p.attempt = t.paid_attempt AND p.state = 'captured' AND p.counts)
  OR 1 <> (SELECT COUNT(*) FROM entry e WHERE e.key = 'pay:' || t.trade_no AND e.kind = 'pay')
)
ORDER BY t.merchant_id, t.out_trade_no LIMIT 20;

-- name: audit.money_without_trade
-- a paying entry has its paid trade, a captured payment its paid trade, late money its late payment and its case
SELECT e.lane, e.seq, e.key FROM entry e WHERE e.kind = 'pay' AND NOT EXISTS (
  SELECT 1 FROM trade t WHERE t.merchant_id = e.merchant_id AND t.out_trade_no = e.out_trade_no
  AND e.key = 'pay:' || t.trade_no AND (t.state IN ('paid', 'escrowed', 'shipped', 'finished')
  OR (t.state = 'closed' AND t.refunded = t.amount)))
UNION ALL
SELECT e.lane, e.seq, e.key FROM entry e WHERE e.kind = 'release' AND NOT EXISTS (
  SELECT 1 FROM trade t WHERE t.merchant_id = e.merchant_id AND t.out_trade_no = e.out_trade_no
  AND e.key = 'release:' || t.trade_no AND t.flow = 'escrow' AND t.state = 'finished')
UNION ALL
SELECT e.lane, e.seq, e.key FROM entry e WHERE e.kind = 'late' AND NOT EXISTS (
  SELECT 1 FROM payment p JOIN case_file c ON c.case_id = 'late:' || p.payment_no
  WHERE p.merchant_id = e.merchant_id AND p.out_trade_no = e.out_trade_no AND e.key = 'late:' || p.payment_no
  AND ((p.state = 'late' AND c.state = 'open') OR p.state = 'returned'))
UNION ALL
SELECT e.lane, e.seq, e.key FROM entry e WHERE e.kind = 'return' AND NOT EXISTS (
  SELECT 1 FROM payment p WHERE p.merchant_id = e.merchant_id AND p.out_trade_no = e.out_trade_no
  AND e.key = 'return:' || p.payment_no AND p.state = 'returned')
UNION ALL
SELECT e.lane, e.seq, e.key FROM entry e WHERE e.kind IN ('refund', 'refund_stuck', 'refunded', 'refund_back') AND NOT EXISTS (
  SELECT 1 FROM refund r WHERE r.merchant_id = e.merchant_id AND r.out_trade_no = e.out_trade_no
  AND e.key = e.kind || ':' || r.refund_id)
LIMIT 20;

-- name: audit.payment_without_entry
SELECT p.payment_no, p.state FROM payment p WHERE p.state = 'captured' AND NOT EXISTS (
  SELECT 1 FROM trade t WHERE t.merchant_id = p.merchant_id AND t.out_trade_no = p.out_trade_no
  AND t.paid_attempt = p.attempt)
UNION ALL
SELECT p.payment_no, p.state FROM payment p WHERE p.state IN ('late', 'returned') AND NOT EXISTS (
  SELECT 1 FROM entry e WHERE e.key = 'late:' || p.payment_no AND e.kind = 'late')
UNION ALL
SELECT p.payment_no, p.state FROM payment p WHERE p.state = 'returned' AND NOT EXISTS (
  SELECT 1 FROM entry e WHERE e.key = 'return:' || p.payment_no AND e.kind = 'return')
UNION ALL
SELECT p.payment_no, p.state FROM payment p WHERE p.state = 'late' AND NOT EXISTS (
  SELECT 1 FROM case_file c WHERE c.case_id = 'late:' || p.payment_no AND c.state = 'open')
LIMIT 20;

-- name: audit.paid_twice
SELECT merchant_id, out_trade_no, COUNT(*) FROM payment WHERE state = 'captured'
GROUP BY merchant_id, out_trade_no HAVING COUNT(*) > 1
UNION ALL
SELECT merchant_id, out_trade_no, attempt FROM payment WHERE (state = 'captured') <> (counts)
LIMIT 20;

-- name: audit.bank_reference_twice
SELECT bank, kind, bank_ref, COUNT(*) FROM instruction WHERE bank_ref <> ''
GROUP BY bank, kind, bank_ref HAVING COUNT(*) > 1 LIMIT 20;

-- name: audit.captured_amounts
-- payment, instruction and paying entry say the trade's own sum, currency and buyer
SELECT p.payment_no, p.amount, p.currency FROM payment p
JOIN trade t ON t.merchant_id = p.merchant_id AND t.out_trade_no = p.out_trade_no
WHERE p.amount <> t.amount OR p.currency <> t.currency
OR (p.counts AND (p.buyer_id <> t.buyer_id OR p.flow <> t.flow OR (t.product <> 'dual' AND p.flow <> t.product)))
UNION ALL
SELECT i.instruction_no, i.amount, i.currency FROM instruction i
JOIN payment p ON p.merchant_id = i.merchant_id AND p.out_trade_no = i.out_trade_no AND p.attempt = i.attempt
WHERE i.currency <> p.currency OR i.bank <> p.bank OR i.method <> p.method
OR (i.amount <> p.amount AND i.instruction_no NOT LIKE '%R____')
UNION ALL
SELECT e.key, p.amount, p.credit FROM entry e JOIN posting p ON p.lane = e.lane AND p.seq = e.seq AND p.n = 1
JOIN trade t ON t.merchant_id = e.merchant_id AND t.out_trade_no = e.out_trade_no
WHERE e.kind IN ('pay', 'late', 'return') AND p.amount <> t.amount
LIMIT 20;

-- name: audit.escrow_leaks
-- what a trade holds in escrow is its sum less what was given back out of it while it is escrowed or shipped, and
-- nothing before and after
SELECT merchant_id, out_trade_no, CAST(SUM(amount) AS {bigint}) FROM (
  SELECT e.merchant_id, e.out_trade_no, p.amount FROM posting p JOIN entry e ON e.lane = p.lane AND e.seq = p.seq
  WHERE p.credit LIKE 'merchant:%:escrow:%'
  UNION ALL
  SELECT e.merchant_id, e.out_trade_no, -p.amount FROM posting p JOIN entry e ON e.lane = p.lane AND e.seq = p.seq
  WHERE p.debit LIKE 'merchant:%:escrow:%'
  UNION ALL
  SELECT merchant_id, out_trade_no, -amount FROM trade WHERE state IN ('escrowed', 'shipped')
  UNION ALL
  SELECT r.merchant_id, r.out_trade_no, r.from_escrow FROM refund r
  JOIN trade t ON t.merchant_id = r.merchant_id AND t.out_trade_no = r.out_trade_no
  WHERE t.state IN ('escrowed', 'shipped') AND r.state <> 'failed'
) AS held
GROUP BY merchant_id, out_trade_no HAVING SUM(amount) <> 0 ORDER BY merchant_id, out_trade_no LIMIT 20;

-- name: audit.forgotten_unknown
-- nobody asks any more and nobody was told
SELECT i.instruction_no, i.state FROM instruction i
WHERE i.state IN ('created', 'unknown') AND i.moved_at < :unknown_before AND i.inquire_at IS NULL
AND NOT EXISTS (SELECT 1 FROM case_file c WHERE c.subject = i.instruction_no AND c.state = 'open')
ORDER BY i.instruction_no LIMIT 20;

-- name: audit.moves
-- every kind of move that was ever made, with one trade that made it
SELECT from_state, to_state, MIN(out_trade_no) FROM event WHERE cause <> 'ended' GROUP BY from_state, to_state;

-- name: audit.history
SELECT t.merchant_id, t.out_trade_no, t.state, t.version FROM trade t
LEFT JOIN (SELECT merchant_id, out_trade_no, COUNT(*) AS many, MAX(seq) AS last, MIN(seq) AS first
           FROM event GROUP BY merchant_id, out_trade_no) h
ON h.merchant_id = t.merchant_id AND h.out_trade_no = t.out_trade_no
WHERE t.version <> COALESCE(h.many, 0) OR t.version <> COALESCE(h.last, 0) OR COALESCE(h.first, 1) <> 1
OR (t.version = 0 AND t.state <> 'unpaid')
UNION ALL
SELECT t.merchant_id, t.out_trade_no, t.state, e.seq FROM trade t
JOIN event e ON e.merchant_id = t.merchant_id AND e.out_trade_no = t.out_trade_no AND e.seq = t.version
WHERE e.to_state <> t.state
UNION ALL
SELECT e.merchant_id, e.out_trade_no, e.from_state, e.seq FROM event e
JOIN event b ON b.merchant_id = e.merchant_id AND b.out_trade_no = e.out_trade_no AND b.seq = e.seq - 1
WHERE b.to_state <> e.from_state
UNION ALL
SELECT merchant_id, out_trade_no, from_state, seq FROM event WHERE seq = 1 AND from_state NOT IN ('', 'unpaid')
LIMIT 20;

-- name: audit.money_without_event
-- a trade's money and its event are of one transaction: same trade, same cause, same moment; both ways
SELECT e.key, e.at FROM entry e WHERE e.kind = 'pay' AND 1 <> (
  SELECT COUNT(*) FROM event v WHERE v.merchant_id = e.merchant_id AND v.out_trade_no = e.out_trade_no
  AND v.cause LIKE 'pay:%' AND v.from_state = 'unpaid' AND v.at = e.at)
UNION ALL
SELECT e.key, e.at FROM entry e WHERE e.kind = 'release' AND 1 <> (
  SELECT COUNT(*) FROM event v WHERE v.merchant_id = e.merchant_id AND v.out_trade_no = e.out_trade_no
  AND v.from_state IN ('escrowed', 'shipped') AND v.to_state = 'finished' AND v.at = e.at)
UNION ALL
SELECT v.out_trade_no || ' ' || v.cause, v.at FROM event v
LEFT JOIN (SELECT merchant_id, out_trade_no, at, COUNT(*) AS many FROM entry WHERE kind = 'pay'
           GROUP BY merchant_id, out_trade_no, at) e
ON e.merchant_id = v.merchant_id AND e.out_trade_no = v.out_trade_no AND e.at = v.at
WHERE v.cause LIKE 'pay:%' AND COALESCE(e.many, 0) <> 1
UNION ALL
SELECT v.out_trade_no || ' ' || v.cause, v.at FROM event v
LEFT JOIN (SELECT merchant_id, out_trade_no, at, COUNT(*) AS many FROM entry WHERE kind = 'release'
           GROUP BY merchant_id, out_trade_no, at) e
ON e.merchant_id = v.merchant_id AND e.out_trade_no = v.out_trade_no AND e.at = v.at
WHERE v.from_state IN ('escrowed', 'shipped') AND v.to_state = 'finished' AND COALESCE(e.many, 0) <> 1
UNION ALL
SELECT e.key, e.at FROM entry e WHERE e.kind IN ('refund', 'refund_stuck', 'refunded', 'refund_back') AND NOT EXISTS (
  SELECT 1 FROM event v WHERE v.merchant_id = e.merchant_id AND v.out_trade_no = e.out_trade_no AND v.at = e.at
  AND (v.cause = 'refund:' || substr(e.key, LENGTH(e.kind) + 2)
       OR (e.kind = 'refund_stuck' AND v.cause = e.key)
       OR (e.kind = 'refund' AND v.cause = 'refund_accepted:' || substr(e.key, 8))
       OR (e.kind = 'refund_back' AND v.cause = 'refund_failed:' || substr(e.key, 13))))
UNION ALL
SELECT v.out_trade_no || ' ' || v.cause, v.at FROM event v WHERE v.cause LIKE 'refund%:%' AND NOT EXISTS (
  SELECT 1 FROM entry e WHERE e.merchant_id = v.merchant_id AND e.out_trade_no = v.out_trade_no AND e.at = v.at
  AND (v.cause = e.key OR (e.kind = 'refunded' AND v.cause = 'refund:' || substr(e.key, 10))
       OR (e.kind = 'refund' AND v.cause = 'refund_accepted:' || substr(e.key, 8))
       OR (e.kind = 'refund_back' AND v.cause = 'refund_failed:' || substr(e.key, 13))))
LIMIT 20;

-- name: audit.rotten_event
SELECT merchant_id, out_trade_no, seq, next_at FROM event
WHERE notify_state = 'pending' AND next_at < :rot_before
UNION ALL
SELECT v.merchant_id, v.out_trade_no, v.seq, v.next_at FROM event v
WHERE (v.notify_state = 'pending' AND v.next_at IS NULL) OR (v.notify_state <> 'silent' AND v.target = '')
UNION ALL
SELECT v.merchant_id, v.out_trade_no, v.seq, v.next_at FROM event v
JOIN trade t ON t.merchant_id = v.merchant_id AND t.out_trade_no = v.out_trade_no
WHERE v.notify_state IN ('dead', 'blocked') AND NOT EXISTS (
  SELECT 1 FROM case_file c WHERE c.case_id = 'notify:' || t.trade_no || ':' || CAST(v.seq AS text))
LIMIT 20;

-- name: audit.delivered_without_success
SELECT v.merchant_id, v.out_trade_no, v.seq FROM event v WHERE v.notify_state = 'delivered' AND NOT EXISTS (
  SELECT 1 FROM attempt a WHERE a.merchant_id = v.merchant_id AND a.out_trade_no = v.out_trade_no AND a.seq = v.seq
  AND a.answer_class = 'SUCCESS')
LIMIT 20;

-- name: audit.attempt_count
SELECT v.merchant_id, v.out_trade_no, v.seq, v.attempts FROM event v
LEFT JOIN (SELECT merchant_id, out_trade_no, seq, COUNT(*) AS many, MAX(n) AS last FROM attempt
           GROUP BY merchant_id, out_trade_no, seq) a
ON a.merchant_id = v.merchant_id AND a.out_trade_no = v.out_trade_no AND a.seq = v.seq
WHERE v.attempts <> COALESCE(a.many, 0) OR v.attempts <> COALESCE(a.last, 0)
LIMIT 20;

-- name: audit.plans
-- how far the deliveries of each protocol's events went, and how soon one followed another
SELECT t.protocol, a.n, CAST(MIN(b.at - a.at) AS {bigint}) FROM attempt a
JOIN attempt b ON b.merchant_id = a.merchant_id AND b.out_trade_no = a.out_trade_no AND b.seq = a.seq AND b.n = a.n + 1
JOIN event v ON v.merchant_id = a.merchant_id AND v.out_trade_no = a.out_trade_no AND v.seq = a.seq
JOIN trade t ON t.merchant_id = a.merchant_id AND t.out_trade_no = a.out_trade_no
WHERE v.resends = 0
GROUP BY t.protocol, a.n;

-- name: audit.delivered_again
SELECT a.merchant_id, a.out_trade_no, a.seq, a.n FROM attempt a
JOIN event v ON v.merchant_id = a.merchant_id AND v.out_trade_no = a.out_trade_no AND v.seq = a.seq
WHERE a.answer_class = 'SUCCESS' AND v.attempts - a.n > v.resends
LIMIT 20;

-- name: audit.key_twice
SELECT scope, key, COUNT(*) FROM answer GROUP BY scope, key HAVING COUNT(*) > 1
UNION ALL
SELECT scope, key, 0 FROM answer WHERE LENGTH(request_hash) <> 64
UNION ALL
SELECT 'trade', trade_no, COUNT(*) FROM trade GROUP BY trade_no HAVING COUNT(*) > 1
UNION ALL
SELECT 'number', out_trade_no, COUNT(*) FROM trade GROUP BY merchant_id, out_trade_no HAVING COUNT(*) > 1
UNION ALL
SELECT 'entry', key, COUNT(*) FROM entry GROUP BY key HAVING COUNT(*) > 1
UNION ALL
SELECT 'payment', payment_no, COUNT(*) FROM payment GROUP BY payment_no HAVING COUNT(*) > 1
UNION ALL
SELECT 'refund', refund_id, COUNT(*) FROM refund GROUP BY refund_id HAVING COUNT(*) > 1
UNION ALL
SELECT 'refund number', refund_no, COUNT(*) FROM refund WHERE refund_no <> ''
GROUP BY merchant_id, out_trade_no, refund_no, CASE WHEN cause = 'cancel' THEN 1 ELSE 0 END HAVING COUNT(*) > 1
LIMIT 20;

-- name: audit.intent_twice
SELECT intent, COUNT(*) FROM payment WHERE state = 'captured' AND intent <> ''
GROUP BY intent, buyer_id HAVING COUNT(*) > 1 LIMIT 20;

-- name: audit.fees
-- the merchant's part and the platform's part of a trade make up the whole; before it is due, neither is there
SELECT merchant_id, out_trade_no, part, CAST(SUM(amount) AS {bigint}) FROM (
  SELECT e.merchant_id, e.out_trade_no, 'fee' AS part, p.amount FROM posting p
  JOIN entry e ON e.lane = p.lane AND e.seq = p.seq
  WHERE p.credit LIKE 'platform:%:fee:%' AND e.kind IN ('pay', 'release')
  UNION ALL
  SELECT merchant_id, out_trade_no, 'fee', -fee FROM trade
  UNION ALL
  SELECT e.merchant_id, e.out_trade_no, 'merchant', p.amount FROM posting p
  JOIN entry e ON e.lane = p.lane AND e.seq = p.seq
  WHERE p.credit LIKE 'merchant:%:pending:%' AND e.kind IN ('pay', 'release')
  UNION ALL
  SELECT e.merchant_id, e.out_trade_no, 'merchant', -p.amount FROM posting p
  JOIN entry e ON e.lane = p.lane AND e.seq = p.seq
  WHERE p.debit LIKE 'merchant:%:pending:%' AND e.kind IN ('pay', 'release')
  UNION ALL
  SELECT merchant_id, out_trade_no, 'merchant', fee - amount FROM trade
  WHERE state IN ('paid', 'finished') OR (state = 'closed' AND paid_attempt > 0)
  UNION ALL
  -- what went back out of escrow never reached the merchant, unless its bank refused it after the release
  SELECT r.merchant_id, r.out_trade_no, 'merchant', r.from_escrow FROM refund r
  JOIN trade t ON t.merchant_id = r.merchant_id AND t.out_trade_no = r.out_trade_no
  WHERE t.state IN ('finished', 'closed') AND (r.state <> 'failed' OR r.back_to = 'merchant')
) AS shares
GROUP BY merchant_id, out_trade_no, part HAVING SUM(amount) <> 0
UNION ALL
SELECT merchant_id, out_trade_no, 'too much', fee FROM trade WHERE fee < 0 OR fee > amount
UNION ALL
-- of a fee comes back what was said, and all of it when all of the trade does
SELECT a.merchant_id, a.out_trade_no, 'returned', a.fee_back FROM trade_return a
JOIN trade t ON t.merchant_id = a.merchant_id AND t.out_trade_no = a.out_trade_no
WHERE a.fee_back > t.fee OR (t.refunded = t.amount AND a.fee_back <> t.fee)
OR a.fee_back <> (SELECT COALESCE(SUM(r.fee), 0) FROM refund r WHERE r.merchant_id = a.merchant_id
                  AND r.out_trade_no = a.out_trade_no AND r.state <> 'failed')
LIMIT 20;

-- name: audit.strangers
-- everything that belongs to a trade belongs to a trade of the same merchant, and no entry touches another merchant
SELECT 'payment', p.merchant_id, p.out_trade_no FROM payment p WHERE NOT EXISTS (
  SELECT 1 FROM trade t WHERE t.merchant_id = p.merchant_id AND t.out_trade_no = p.out_trade_no
  AND substr(p.payment_no, 1, LENGTH(t.trade_no)) = t.trade_no)
UNION ALL
SELECT 'instruction', i.merchant_id, i.out_trade_no FROM instruction i WHERE i.kind <> 'payout' AND NOT EXISTS (
  SELECT 1 FROM payment p WHERE p.merchant_id = i.merchant_id AND p.out_trade_no = i.out_trade_no
  AND p.attempt = i.attempt AND substr(i.instruction_no, 1, LENGTH(p.payment_no)) = p.payment_no)
UNION ALL
SELECT 'instruction', i.merchant_id, i.instruction_no FROM instruction i WHERE i.kind = 'payout' AND NOT EXISTS (
  SELECT 1 FROM payout p WHERE p.payout_id = substr(i.instruction_no, 1, LENGTH(i.instruction_no) - 1)
  AND p.merchant_id = i.merchant_id)
UNION ALL
SELECT 'event', v.merchant_id, v.out_trade_no FROM event v WHERE NOT EXISTS (
  SELECT 1 FROM trade t WHERE t.merchant_id = v.merchant_id AND t.out_trade_no = v.out_trade_no)
AND NOT EXISTS (SELECT 1 FROM payout p WHERE p.merchant_id = v.merchant_id AND p.batch_no = ''
  AND p.payout_no = substr(v.out_trade_no, 8) AND v.out_trade_no LIKE 'payout:%')
AND NOT EXISTS (SELECT 1 FROM payout_batch b WHERE b.merchant_id = v.merchant_id
  AND b.batch_no = substr(v.out_trade_no, 9) AND v.out_trade_no LIKE 'payouts:%')
AND NOT EXISTS (SELECT 1 FROM refund_batch b WHERE b.merchant_id = v.merchant_id
  AND v.out_trade_no = 'refunds:' || b.batch_no)
AND NOT EXISTS (SELECT 1 FROM combined c WHERE c.merchant_id = v.merchant_id
  AND v.out_trade_no = 'combined:' || c.out_trade_no)
UNION ALL
SELECT 'attempt', a.merchant_id, a.out_trade_no FROM attempt a WHERE NOT EXISTS (
  SELECT 1 FROM event v WHERE v.merchant_id = a.merchant_id AND v.out_trade_no = a.out_trade_no AND v.seq = a.seq)
UNION ALL
SELECT 'authorisation', w.merchant_id, w.out_trade_no FROM authorisation w WHERE w.out_trade_no <> '' AND NOT EXISTS (
  SELECT 1 FROM trade t WHERE t.merchant_id = w.merchant_id AND t.out_trade_no = w.out_trade_no
  AND w.act IN ('pay', 'confirm', 'ask'))
AND NOT EXISTS (
  SELECT 1 FROM payout_batch b WHERE b.merchant_id = w.merchant_id AND b.batch_no = w.out_trade_no
  AND w.act IN ('agree:payouts', 'refuse:payouts') AND substr(w.buyer_id, 1, LENGTH(b.merchant_id) + 4) = b.merchant_id || '/op:')
AND NOT EXISTS (
  SELECT 1 FROM refund_batch b WHERE b.merchant_id = w.merchant_id AND b.batch_no = w.out_trade_no
  AND w.act IN ('agree:refunds', 'refuse:refunds') AND substr(w.buyer_id, 1, LENGTH(b.merchant_id) + 4) = b.merchant_id || '/op:')
AND NOT EXISTS (SELECT 1 FROM combined c WHERE c.merchant_id = w.merchant_id AND c.out_trade_no = w.out_trade_no
  AND w.act = 'together')
UNION ALL
SELECT 'case', c.merchant_id, c.out_trade_no FROM case_file c WHERE c.out_trade_no <> '' AND NOT EXISTS (
  SELECT 1 FROM trade t WHERE t.merchant_id = c.merchant_id AND t.out_trade_no = c.out_trade_no)
UNION ALL
SELECT 'refund', r.merchant_id, r.out_trade_no FROM refund r WHERE NOT EXISTS (
  SELECT 1 FROM payment p WHERE p.merchant_id = r.merchant_id AND p.out_trade_no = r.out_trade_no
  AND p.attempt = r.attempt AND p.counts AND p.buyer_id = r.buyer_id)
UNION ALL
SELECT 'claim', c.merchant_id, c.out_trade_no FROM claim c WHERE NOT EXISTS (
  SELECT 1 FROM trade t WHERE t.merchant_id = c.merchant_id AND t.out_trade_no = c.out_trade_no AND t.flow = 'escrow')
UNION ALL
SELECT 'trade', t.merchant_id, t.out_trade_no FROM trade t WHERE NOT EXISTS (
  SELECT 1 FROM merchant m WHERE m.merchant_id = t.merchant_id)
UNION ALL
-- only payouts and shares go to another merchant, and only shares come back from one
SELECT 'entry', e.merchant_id, e.key FROM entry e JOIN posting p ON p.lane = e.lane AND p.seq = e.seq
WHERE (p.debit LIKE 'merchant:%' AND p.debit NOT LIKE 'merchant:' || e.merchant_id || ':%' AND e.kind <> 'split_back')
OR (p.credit LIKE 'merchant:%' AND p.credit NOT LIKE 'merchant:' || e.merchant_id || ':%'
    AND (e.kind NOT IN ('payout', 'split') OR p.credit NOT LIKE 'merchant:%:available:%'))
LIMIT 20;

-- name: audit.environments
SELECT merchant_id, environment FROM merchant WHERE environment <> :environment LIMIT 20;

-- name: audit.tokens
-- whoever delivers later holds a younger lease
SELECT a.merchant_id, a.out_trade_no, a.seq, a.n FROM attempt a
JOIN attempt b ON b.merchant_id = a.merchant_id AND b.out_trade_no = a.out_trade_no AND b.seq = a.seq AND b.n = a.n + 1
WHERE b.token <= a.token
UNION ALL
SELECT a.merchant_id, a.out_trade_no, a.seq, a.n FROM attempt a
JOIN event v ON v.merchant_id = a.merchant_id AND v.out_trade_no = a.out_trade_no AND v.seq = a.seq
WHERE a.token > v.lease_token
LIMIT 20;

-- name: audit.unaudited
-- privileged acts without their line in the log, and makers who approved themselves
SELECT 'merchant', merchant_id, created_by FROM merchant m WHERE NOT EXISTS (
  SELECT 1 FROM audit a WHERE a.act = 'merchant.register' AND a.subject = m.merchant_id AND a.actor = m.created_by)
UNION ALL
SELECT 'approval', merchant_id, approved_by FROM merchant m WHERE status IN ('approved', 'frozen') AND NOT EXISTS (
  SELECT 1 FROM audit a WHERE a.act = 'merchant.approved' AND a.subject = m.merchant_id AND a.actor = m.approved_by)
UNION ALL
SELECT 'self-approval', merchant_id, approved_by FROM merchant
WHERE status IN ('approved', 'frozen') AND approved_by = created_by
UNION ALL
SELECT 'key', merchant_id, key_id FROM merchant_key k WHERE NOT EXISTS (
  SELECT 1 FROM audit a WHERE a.act = 'key.put' AND a.subject = k.merchant_id || '/' || k.protocol || '/' || k.key_id)
UNION ALL
SELECT 'operator', name, created_by FROM operator o
WHERE (created_by = name AND EXISTS (SELECT 1 FROM operator b WHERE b.created_at < o.created_at)) OR NOT EXISTS (
  SELECT 1 FROM audit a WHERE a.act = 'operator.register' AND a.subject = o.name AND a.actor = o.created_by)
OR (checker <> '' AND (checker = created_by OR checker = name OR NOT EXISTS (
  SELECT 1 FROM audit a WHERE a.act = 'operator.approve' AND a.subject = o.name AND a.actor = o.checker)))
OR (checker = '' AND status <> 'entered'
    AND NOT EXISTS (SELECT 1 FROM audit a WHERE a.act = 'operator.refuse' AND a.subject = o.name)
    AND (SELECT COUNT(*) FROM operator b WHERE b.checker IS NULL OR (b.checker = '' AND b.status <> 'entered'
         AND NOT EXISTS (SELECT 1 FROM audit a WHERE a.act = 'operator.refuse' AND a.subject = b.name))) > 2)
UNION ALL
-- two others close an operator, or refuse one who was entered; whoever was closed stays so
SELECT 'closed operator', name, status FROM operator o WHERE (status = 'closed') <> EXISTS (
  SELECT 1 FROM audit a JOIN audit b ON b.subject = a.subject AND b.at = a.at AND b.act = 'operator.close_agree'
  WHERE a.subject = o.name AND a.act IN ('operator.close', 'operator.refuse')
  AND a.actor <> b.actor AND a.actor <> o.name AND b.actor <> o.name)
UNION ALL
SELECT 'merchant operator', o.merchant_id, o.name FROM merchant_operator o WHERE checker = maker
OR (status = 'active' AND checker = '') OR NOT EXISTS (
  SELECT 1 FROM audit a WHERE a.act = 'merchant_operator.put' AND a.actor = o.maker
  AND a.subject = o.merchant_id || '/op:' || o.name)
OR (checker <> '' AND NOT EXISTS (
  SELECT 1 FROM audit a WHERE a.act = 'merchant_operator.approve' AND a.actor = o.checker
  AND a.subject = o.merchant_id || '/op:' || o.name))
UNION ALL
SELECT 'top-up', key, kind FROM entry e WHERE kind = 'topup' AND NOT EXISTS (
  SELECT 1 FROM audit a WHERE a.act = 'buyer.topup' AND e.key = 'topup:' || a.reason AND a.at = e.at)
UNION ALL
SELECT 'correction', correction_id, checker FROM correction c WHERE (state = 'posted' AND maker = checker) OR NOT EXISTS (
  SELECT 1 FROM audit a WHERE a.act = 'correction.propose' AND a.subject = c.correction_id AND a.actor = c.maker)
OR (state <> 'proposed' AND NOT EXISTS (
  SELECT 1 FROM audit a WHERE a.act = 'correction.' || c.state AND a.subject = c.correction_id AND a.actor = c.checker))
UNION ALL
SELECT 'correction', e.key, e.kind FROM entry e WHERE e.kind = 'correct' AND NOT EXISTS (
  SELECT 1 FROM correction c WHERE e.key = 'correct:' || c.correction_id AND c.state = 'posted')
UNION ALL
-- what the merchant gave and its bank did not take is the buyer's by two operators' word: that correction, at that moment
SELECT 'stuck refund', r.refund_id, r.back_to FROM refund r
WHERE r.back_to = 'buyer' AND r.cause NOT IN ('claim', 'decision') AND NOT EXISTS (
  SELECT 1 FROM correction c WHERE c.case_id = 'stuck:' || r.refund_id AND c.kind = 'late' AND c.state = 'posted'
  AND c.amount = r.amount AND c.decided_at = r.ended_at AND c.debit = 'merchant:' || r.merchant_id || ':stuck:' || r.currency
  AND c.credit = 'buyer:' || r.buyer_id || ':balance:' || r.currency)
UNION ALL
SELECT 'stuck refund', c.correction_id, c.state FROM correction c
WHERE c.case_id LIKE 'stuck:%' AND c.state = 'posted' AND NOT EXISTS (
  SELECT 1 FROM refund r WHERE r.merchant_id = c.merchant_id AND r.out_trade_no = c.out_trade_no
  AND c.case_id = 'stuck:' || r.refund_id AND r.state = 'succeeded' AND r.back_to = 'buyer')
UNION ALL
SELECT 'decision', c.out_trade_no, c.decided_by FROM claim c WHERE c.decided_by <> '' AND (c.decided_by = c.proposed_by
OR NOT EXISTS (SELECT 1 FROM audit a JOIN trade t ON t.trade_no = a.subject WHERE a.act = 'dispute.decide'
               AND t.merchant_id = c.merchant_id AND t.out_trade_no = c.out_trade_no AND a.actor = c.decided_by))
UNION ALL
SELECT 'chargeback', e.key, e.kind FROM entry e WHERE e.kind = 'chargeback' AND NOT EXISTS (
  SELECT 1 FROM audit a WHERE e.key = 'chargeback:' || a.subject AND a.at = e.at
  AND (a.act = 'chargeback.take' OR (a.act = 'chargeback.enter' AND EXISTS (
    SELECT 1 FROM audit b WHERE b.act = 'chargeback.agree' AND b.subject = a.subject AND b.at = a.at AND b.actor <> a.actor))))
LIMIT 20;

-- name: audit.open_secrets
SELECT 'key', merchant_id, protocol, key_id FROM merchant_key
WHERE secret NOT LIKE 'v1:________:%:%' OR secret LIKE '%-----BEGIN%'
UNION ALL
SELECT 'buyer', buyer_id, '', '' FROM buyer
WHERE (login_hash <> '' AND login_hash NOT LIKE 'scrypt:%:%:%:%:%')
OR (pay_hash <> '' AND pay_hash NOT LIKE 'scrypt:%:%:%:%:%')
UNION ALL
SELECT 'operator', name, '', '' FROM operator WHERE password_hash NOT LIKE 'scrypt:%:%:%:%:%'
UNION ALL
SELECT 'merchant operator', merchant_id, name, '' FROM merchant_operator WHERE pay_hash NOT LIKE 'scrypt:%:%:%:%:%'
LIMIT 20;

-- name: audit.refused_moves
-- a balance is paid from with a word that was granted for exactly this and is used up now; a denied word moved nothing;
-- a merchant's operator decided on a batch with a word for exactly this
SELECT p.payment_no, p.intent FROM payment p WHERE p.method = 'balance' AND NOT EXISTS (
  SELECT 1 FROM authorisation w WHERE w.authorisation_id = p.intent AND w.state = 'used' AND w.act = 'pay'
  AND w.buyer_id = p.buyer_id AND w.merchant_id = p.merchant_id AND w.out_trade_no = p.out_trade_no
  AND w.amount = p.amount AND w.currency = p.currency)
AND NOT EXISTS (
  SELECT 1 FROM combined_trade d
  JOIN combined c ON c.merchant_id = d.merchant_id AND c.out_trade_no = d.out_trade_no
  JOIN authorisation w ON w.merchant_id = c.merchant_id AND w.out_trade_no = c.out_trade_no
  WHERE d.part_merchant = p.merchant_id AND d.part_no = p.out_trade_no AND w.state = 'used' AND w.act = 'together'
  AND w.buyer_id = p.buyer_id AND w.amount = c.amount AND w.currency = c.currency
  AND p.intent = w.authorisation_id || ':' || d.n)
UNION ALL
SELECT w.out_trade_no, w.authorisation_id FROM authorisation w WHERE w.state = 'used' AND w.act = 'together' AND 1 <> (
  SELECT COUNT(*) FROM payment p JOIN combined_trade d ON d.part_merchant = p.merchant_id AND d.part_no = p.out_trade_no
  WHERE d.merchant_id = w.merchant_id AND d.out_trade_no = w.out_trade_no AND d.n = 1
  AND p.intent = w.authorisation_id || ':1' AND p.state = 'captured')
UNION ALL
SELECT w.out_trade_no, w.authorisation_id FROM authorisation w WHERE w.state = 'used' AND w.act = 'pay' AND 1 <> (
  SELECT COUNT(*) FROM payment p WHERE p.merchant_id = w.merchant_id AND p.out_trade_no = w.out_trade_no
  AND p.intent = w.authorisation_id AND p.method = 'balance' AND p.state = 'captured')
UNION ALL
SELECT w.out_trade_no, w.authorisation_id FROM authorisation w WHERE w.state = 'used' AND w.act = 'confirm'
AND 1 <> (SELECT COUNT(*) FROM event v WHERE v.merchant_id = w.merchant_id AND v.out_trade_no = w.out_trade_no
  AND v.cause = 'confirm')
UNION ALL
SELECT b.batch_no, p.person FROM payout_batch b
JOIN (SELECT merchant_id, batch_no, first AS person FROM payout_batch
      UNION ALL SELECT merchant_id, batch_no, checker FROM payout_batch) p
ON p.merchant_id = b.merchant_id AND p.batch_no = b.batch_no AND p.person LIKE '%/op:%' AND NOT EXISTS (
  SELECT 1 FROM authorisation w WHERE w.state = 'used' AND w.act = 'agree:payouts' AND w.buyer_id = p.person
  AND w.merchant_id = b.merchant_id AND w.out_trade_no = b.batch_no AND w.amount = b.total AND w.currency = b.currency)
UNION ALL
SELECT b.batch_no, b.agreed_by FROM refund_batch b WHERE b.agreed_by LIKE '%/op:%' AND NOT EXISTS (
  SELECT 1 FROM authorisation w WHERE w.state = 'used' AND w.buyer_id = b.agreed_by AND w.merchant_id = b.merchant_id
  AND w.out_trade_no = b.batch_no AND w.act = CASE b.state WHEN 'closed' THEN 'refuse:refunds' ELSE 'agree:refunds' END)
UNION ALL
SELECT w.out_trade_no, w.authorisation_id FROM authorisation w WHERE w.state = 'used' AND (
  (w.act = 'agree:payouts' AND NOT EXISTS (
    SELECT 1 FROM payout_batch b WHERE b.merchant_id = w.merchant_id AND b.batch_no = w.out_trade_no
    AND w.buyer_id IN (b.first, b.checker)))
  OR (w.act = 'refuse:payouts' AND NOT EXISTS (
    SELECT 1 FROM payout_batch b WHERE b.merchant_id = w.merchant_id AND b.batch_no = w.out_trade_no AND b.state = 'closed'))
  OR (w.act IN ('agree:refunds', 'refuse:refunds') AND NOT EXISTS (
    SELECT 1 FROM refund_batch b WHERE b.merchant_id = w.merchant_id AND b.batch_no = w.out_trade_no
    AND b.agreed_by = w.buyer_id)))
LIMIT 20;

-- name: audit.combined
-- a combined order is the sum of its parts, which one buyer paid at one moment, all of them or none
SELECT c.merchant_id, c.out_trade_no, c.amount, CAST(COALESCE(SUM(t.amount), 0) AS {bigint}) FROM combined c
LEFT JOIN combined_trade d ON d.merchant_id = c.merchant_id AND d.out_trade_no = c.out_trade_no
LEFT JOIN trade t ON t.merchant_id = d.part_merchant AND t.out_trade_no = d.part_no
GROUP BY c.merchant_id, c.out_trade_no, c.amount HAVING c.amount <> COALESCE(SUM(t.amount), 0)
UNION ALL
SELECT c.merchant_id, c.out_trade_no, c.amount, t.amount FROM combined c
JOIN combined_trade d ON d.merchant_id = c.merchant_id AND d.out_trade_no = c.out_trade_no
JOIN trade t ON t.merchant_id = d.part_merchant AND t.out_trade_no = d.part_no
WHERE COALESCE(c.paid_at, 0) <> COALESCE(t.paid_at, 0)
UNION ALL
SELECT c.merchant_id, c.out_trade_no, c.amount, COUNT(DISTINCT t.buyer_id) FROM combined c
JOIN combined_trade d ON d.merchant_id = c.merchant_id AND d.out_trade_no = c.out_trade_no
JOIN trade t ON t.merchant_id = d.part_merchant AND t.out_trade_no = d.part_no
GROUP BY c.merchant_id, c.out_trade_no, c.amount HAVING COUNT(DISTINCT t.buyer_id) > 1
LIMIT 20;

-- name: audit.times
SELECT 'trade', out_trade_no, created_at FROM trade
WHERE paid_at < created_at OR shipped_at < paid_at OR ended_at < paid_at OR ended_at < shipped_at
OR ended_at < created_at OR moved_at < created_at OR created_at > :future OR moved_at > :future
UNION ALL
SELECT 'payment', payment_no, created_at FROM payment WHERE ended_at < created_at OR ended_at > :future
UNION ALL
SELECT 'entry', e.key, e.at FROM entry e JOIN entry b ON b.lane = e.lane AND b.seq = e.seq - 1 WHERE e.at < b.at
UNION ALL
SELECT 'entry', key, at FROM entry WHERE at > :future
UNION ALL
SELECT 'audit', a.subject, a.at FROM audit a JOIN audit b ON b.lane = a.lane AND b.seq = a.seq - 1
WHERE a.at < b.at OR a.at > :future
UNION ALL
SELECT 'event', v.out_trade_no, v.at FROM event v
JOIN event b ON b.merchant_id = v.merchant_id AND b.out_trade_no = v.out_trade_no AND b.seq = v.seq - 1
WHERE v.at < b.at
LIMIT 20;

-- name: audit.suspense
-- what rests in suspense is what the open cases of late money and of banks' statements say, no more and no less
SELECT currency, CAST(SUM(amount) AS {bigint}) FROM (
  SELECT currency, balance AS amount FROM account WHERE code LIKE 'platform:%:suspense:%'
  UNION ALL
  SELECT currency, -amount FROM case_file WHERE kind IN ('late_payment', 'statement_credit') AND state = 'open'
  UNION ALL
  SELECT currency, amount FROM case_file WHERE kind = 'statement_debit' AND state = 'open'
) AS resting
GROUP BY currency HAVING SUM(amount) <> 0 LIMIT 20;

-- name: audit.instructions
-- what a bank was asked and what the payment came to agree
SELECT i.instruction_no, i.state, p.state FROM instruction i
JOIN payment p ON p.merchant_id = i.merchant_id AND p.out_trade_no = i.out_trade_no AND p.attempt = i.attempt
WHERE i.kind = 'pay' AND (
  (i.state = 'succeeded') <> (p.state IN ('captured', 'late', 'returned'))
  OR (i.state = 'failed') <> (p.state = 'failed'))
UNION ALL
SELECT i.instruction_no, i.state, p.state FROM instruction i
JOIN payment p ON p.merchant_id = i.merchant_id AND p.out_trade_no = i.out_trade_no AND p.attempt = i.attempt
WHERE i.kind = 'refund' AND i.instruction_no NOT LIKE '%R____'
AND ((i.state = 'succeeded') <> (p.state = 'returned') OR p.state NOT IN ('late', 'returned'))
AND NOT (i.state = 'failed' AND p.state = 'returned' AND EXISTS (
  SELECT 1 FROM correction c WHERE c.kind = 'late' AND c.state = 'posted' AND c.case_id = 'refused:' || i.instruction_no))
UNION ALL
SELECT i.instruction_no, i.state, COALESCE(r.state, 'none') FROM instruction i
JOIN payment p ON p.merchant_id = i.merchant_id AND p.out_trade_no = i.out_trade_no AND p.attempt = i.attempt
LEFT JOIN refund r ON r.merchant_id = i.merchant_id AND r.out_trade_no = i.out_trade_no AND r.attempt = i.attempt
AND i.instruction_no = p.payment_no || 'R' || substr(r.refund_id, 29)
WHERE i.instruction_no LIKE '%R____' AND (r.state IS NULL OR r.method = 'balance' OR r.amount <> i.amount
OR (i.state = 'succeeded') <> (r.state = 'succeeded' AND r.back_to = '') OR (i.state = 'failed') <> (r.back_to <> '' OR r.code = 'REFUND_STUCK'))
UNION ALL
SELECT r.refund_id, 'none', r.state FROM refund r
JOIN payment p ON p.merchant_id = r.merchant_id AND p.out_trade_no = r.out_trade_no AND p.attempt = r.attempt
WHERE r.method <> 'balance' AND NOT EXISTS (
  SELECT 1 FROM instruction i WHERE i.instruction_no = p.payment_no || 'R' || substr(r.refund_id, 29))
UNION ALL
SELECT p.payment_no, 'none', p.state FROM payment p WHERE p.method <> 'balance' AND 1 <> (
  SELECT COUNT(*) FROM instruction i WHERE i.instruction_no = p.payment_no || 'P' AND i.kind = 'pay')
UNION ALL
SELECT p.payment_no, 'none', p.state FROM payment p WHERE p.state IN ('late', 'returned') AND 1 <> (
  SELECT COUNT(*) FROM instruction i WHERE i.instruction_no = p.payment_no || 'R' AND i.kind = 'refund')
LIMIT 20;

-- name: audit.clocks
-- the clock acts on whatever waits for it, and on nothing else
-- (an open claim has the trade's clock, a dispute has none; and nothing is released that has gone back)
SELECT t.merchant_id, t.out_trade_no, t.state FROM trade t
LEFT JOIN claim c ON c.merchant_id = t.merchant_id AND c.out_trade_no = t.out_trade_no
AND c.state IN ('asked', 'refused', 'returning', 'returned', 'disputed')
WHERE (t.due_at IS NOT NULL) <> CASE
  WHEN c.state = 'disputed' THEN 1 = 0
  WHEN c.state IS NOT NULL THEN t.state IN ('escrowed', 'shipped')
  WHEN t.state = 'shipped' THEN t.refunded < t.amount
  ELSE t.state IN ('unpaid', 'paid') END
LIMIT 20;

-- name: audit.refunded_too_much
SELECT t.merchant_id, t.out_trade_no, t.refunded, CAST(COALESCE(SUM(r.amount), 0) AS {bigint}) FROM trade t
LEFT JOIN refund r ON r.merchant_id = t.merchant_id AND r.out_trade_no = t.out_trade_no AND r.state <> 'failed'
GROUP BY t.merchant_id, t.out_trade_no, t.refunded, t.amount
HAVING t.refunded <> COALESCE(SUM(r.amount), 0) OR COALESCE(SUM(r.amount), 0) > t.amount
LIMIT 20;

-- name: audit.refund_entries
-- what was set aside for a refund is its sum; it left once, or came back once, as the refund's state says
SELECT refund_id, state, kind, CAST(SUM(amount) AS {bigint}) FROM (
  SELECT r.refund_id, r.state, 'refund' AS kind, -r.amount AS amount FROM refund r
  UNION ALL
  SELECT r.refund_id, r.state, 'refund', p.amount FROM refund r
  JOIN entry e ON e.key = 'refund:' || r.refund_id JOIN posting p ON p.lane = e.lane AND p.seq = e.seq
  WHERE (r.method = 'balance' AND p.credit LIKE 'buyer:' || r.buyer_id || ':balance:%')
  OR (r.method <> 'balance' AND p.credit LIKE 'merchant:' || r.merchant_id || ':refunding:%')
  UNION ALL
  SELECT r.refund_id, r.state, 'refunded', -r.amount FROM refund r WHERE r.method <> 'balance' AND r.state = 'succeeded'
  UNION ALL
  SELECT r.refund_id, r.state, 'refunded', p.amount FROM refund r
  JOIN entry e ON e.key = 'refunded:' || r.refund_id JOIN posting p ON p.lane = e.lane AND p.seq = e.seq
  LEFT JOIN entry s ON s.key = 'refund_stuck:' || r.refund_id
  WHERE p.debit = 'merchant:' || r.merchant_id || CASE WHEN s.key IS NULL THEN ':refunding:' ELSE ':stuck:' END || r.currency
  AND ((r.back_to = '' AND s.key IS NULL AND p.credit LIKE 'bank:' || r.bank || ':%')
    OR (r.back_to = 'buyer' AND p.credit LIKE 'buyer:' || r.buyer_id || ':balance:%'))
  UNION ALL
  -- what was stuck was so once, and leaves from where it waited: what was not, from what was aside
  SELECT r.refund_id, r.state, 'refund_stuck', CASE WHEN p.debit = 'merchant:' || r.merchant_id || ':refunding:' || r.currency
    AND p.credit = 'merchant:' || r.merchant_id || ':stuck:' || r.currency THEN p.amount ELSE 0 END - r.amount FROM refund r
  JOIN entry e ON e.key = 'refund_stuck:' || r.refund_id JOIN posting p ON p.lane = e.lane AND p.seq = e.seq
  UNION ALL
  SELECT r.refund_id, r.state, 'refund_stuck', r.amount FROM refund r WHERE r.code = 'REFUND_STUCK'
  AND NOT EXISTS (SELECT 1 FROM entry e WHERE e.key = 'refund_stuck:' || r.refund_id)
  UNION ALL
  SELECT r.refund_id, r.state, 'refund_back', -r.amount FROM refund r WHERE r.state = 'failed'
  UNION ALL
  SELECT r.refund_id, r.state, 'refund_back', p.amount FROM refund r
  JOIN entry e ON e.key = 'refund_back:' || r.refund_id JOIN posting p ON p.lane = e.lane AND p.seq = e.seq
  LEFT JOIN entry s ON s.key = 'refund_stuck:' || r.refund_id
  WHERE p.debit = 'merchant:' || r.merchant_id || CASE WHEN s.key IS NULL THEN ':refunding:' ELSE ':stuck:' END || r.currency
) AS legs
GROUP BY refund_id, state, kind HAVING SUM(amount) <> 0 LIMIT 20;

-- name: audit.refunds_aside
-- what is aside for refunds is what banks have not answered yet; what is stuck is what they do not take, each with its case
SELECT code, CAST(SUM(amount) AS {bigint}) FROM (
  SELECT code, balance AS amount FROM account WHERE code LIKE 'merchant:%:refunding:%'
  OR code LIKE 'merchant:%:stuck:%'
  UNION ALL
  SELECT 'merchant:' || merchant_id || CASE code WHEN 'REFUND_STUCK' THEN ':stuck:' ELSE ':refunding:' END || currency,
    -amount FROM refund WHERE state = 'accepted'
) AS aside
GROUP BY code HAVING SUM(amount) <> 0
UNION ALL
SELECT r.refund_id, r.amount FROM refund r WHERE r.code = 'REFUND_STUCK' AND (r.state <> 'accepted' OR NOT EXISTS (
  SELECT 1 FROM case_file c WHERE c.case_id = 'stuck:' || r.refund_id AND c.state = 'open'))
UNION ALL
SELECT c.case_id, c.amount FROM case_file c WHERE c.kind = 'refund_stuck' AND c.state = 'open' AND NOT EXISTS (
  SELECT 1 FROM refund r WHERE c.case_id = 'stuck:' || r.refund_id AND r.code = 'REFUND_STUCK' AND r.amount = c.amount)
UNION ALL
SELECT a.out_trade_no, a.refunding FROM trade_return a WHERE a.refunding <> (
  SELECT COALESCE(SUM(r.amount), 0) FROM refund r WHERE r.merchant_id = a.merchant_id
  AND r.out_trade_no = a.out_trade_no AND r.state = 'accepted')
OR a.charged_back <> (
  SELECT COALESCE(SUM(c.amount), 0) FROM chargeback c WHERE c.merchant_id = a.merchant_id
  AND c.out_trade_no = a.out_trade_no)
OR a.from_escrow <> (
  SELECT COALESCE(SUM(r.from_escrow), 0) FROM refund r WHERE r.merchant_id = a.merchant_id
  AND r.out_trade_no = a.out_trade_no AND r.state <> 'failed')
LIMIT 20;

-- name: audit.refund_batches
-- a batch's lines are as many as it says, and each that was carried out is its refund
SELECT b.merchant_id, b.batch_no, b.lines, b.ended FROM refund_batch b
WHERE b.lines <> (SELECT COUNT(*) FROM refund_line l WHERE l.merchant_id = b.merchant_id AND l.batch_no = b.batch_no)
OR b.ended <> (SELECT COUNT(*) FROM refund_line l WHERE l.merchant_id = b.merchant_id AND l.batch_no = b.batch_no
               AND l.state IN ('succeeded', 'failed'))
OR (b.state = 'done') <> (b.ended = b.lines)
UNION ALL
SELECT l.merchant_id, l.batch_no, l.n, l.refund_n FROM refund_line l WHERE l.refund_n > 0 AND NOT EXISTS (
  SELECT 1 FROM refund r WHERE r.merchant_id = l.merchant_id AND r.out_trade_no = l.out_trade_no AND r.n = l.refund_n
  AND r.batch_no = l.batch_no AND r.amount = l.amount AND (l.state = 'accepted' OR r.state = l.state))
LIMIT 20;

-- name: audit.refund_ends
-- what was set aside for a refund ends once: it left, or it came back
SELECT r.refund_id, r.state, COUNT(*) FROM refund r
JOIN entry e ON e.key IN ('refunded:' || r.refund_id, 'refund_back:' || r.refund_id)
GROUP BY r.refund_id, r.state HAVING COUNT(*) > 1 OR r.state = 'accepted'
UNION ALL
SELECT r.refund_id, r.state, 0 FROM refund r
WHERE (r.state = 'accepted') <> (r.ended_at IS NULL) OR (r.method = 'balance' AND r.state <> 'succeeded')
LIMIT 20;

-- name: audit.lanes
SELECT lane, entry_seq, head, audit_seq, audit_head FROM lane ORDER BY lane;

-- name: audit.entry_page
SELECT seq, key, kind, merchant_id, out_trade_no, at, business_day, hash FROM entry
WHERE lane = :lane AND seq > :after AND seq <= :last ORDER BY seq LIMIT :most;

-- name: audit.posting_page
SELECT seq, debit, credit, amount FROM posting
WHERE lane = :lane AND seq > :after AND seq <= :last ORDER BY seq, n;

-- name: audit.audit_page
SELECT seq, at, actor, act, subject, reason, before_digest, after_digest, hash FROM audit
WHERE lane = :lane AND seq > :after AND seq <= :last ORDER BY seq LIMIT :most;

-- name: audit.trade_page
SELECT merchant_id, out_trade_no, product, amount, currency, terms, terms_hash FROM trade
WHERE (merchant_id, out_trade_no) > (:merchant_id, :out_trade_no) ORDER BY merchant_id, out_trade_no LIMIT :most;

-- name: audit.statements
-- a difference has its case, money of a difference its entry; a line waits for one statement only; nothing rests uncounted
SELECT g.bank, g.kind, g.number, g.state FROM gap g
WHERE g.state = 'case' AND NOT EXISTS (SELECT 1 FROM case_file c WHERE c.case_id = g.case_id)
UNION ALL
SELECT c.case_id, c.kind, c.subject, c.state FROM case_file c
WHERE c.kind IN ('statement_credit', 'statement_debit') AND NOT EXISTS (
  SELECT 1 FROM entry e JOIN posting p ON p.lane = e.lane AND p.seq = e.seq
  WHERE e.key = c.case_id AND e.kind = 'statement' AND p.amount = c.amount)
UNION ALL
SELECT e.key, e.kind, '', '' FROM entry e
WHERE e.kind = 'statement' AND NOT EXISTS (SELECT 1 FROM case_file c WHERE c.case_id = e.key)
UNION ALL
SELECT g.bank, g.kind, g.number, g.state FROM gap g JOIN statement s ON s.bank = g.bank AND s.day > g.day
WHERE g.state = 'waiting'
UNION ALL
SELECT s.bank, CAST(s.day AS text), 'differences', CAST(s.differences AS text) FROM statement s
WHERE s.differences <> (SELECT COUNT(*) FROM gap g WHERE g.bank = s.bank AND g.state = 'case' AND g.closed_day = s.day)
LIMIT 20;

-- name: audit.bills
SELECT merchant_id, day, kind, currency, income, outcome, fee FROM bill ORDER BY day, merchant_id, kind, currency;

-- name: audit.day_postings
SELECT p.lane, p.seq, p.n, e.kind, e.out_trade_no, p.debit, p.credit, p.amount FROM entry e
JOIN posting p ON p.lane = e.lane AND p.seq = e.seq
WHERE e.business_day = :day AND (p.lane > :lane OR (p.lane = :lane AND (p.seq > :seq OR (p.seq = :seq AND p.n > :n))))
ORDER BY p.lane, p.seq, p.n LIMIT :most;
