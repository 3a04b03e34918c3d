-- name: trade.by_no
SELECT merchant_id, out_trade_no FROM trade WHERE trade_no = :trade_no;

-- name: trade.by_out_trade_no
SELECT merchant_id, out_trade_no FROM trade WHERE out_trade_no = :out_trade_no ORDER BY merchant_id LIMIT 10;

-- name: trade.recent
SELECT merchant_id, out_trade_no FROM trade ORDER BY created_at DESC, trade_no DESC LIMIT :most;

-- name: trade.of_buyer
SELECT merchant_id, out_trade_no FROM trade WHERE buyer_id = :buyer_id
ORDER BY created_at DESC, trade_no DESC LIMIT :most;

-- name: trade.due
-- in one order on every database, also where several are due at once
SELECT merchant_id, out_trade_no, due_at FROM trade WHERE due_at <= :now ORDER BY due_at, merchant_id, out_trade_no LIMIT :most;

-- name: trade.next_due
SELECT MIN(due_at) FROM trade WHERE due_at IS NOT NULL;

-- name: buyer.by_login
SELECT buyer_id FROM buyer WHERE login = :login;

-- name: buyer.all
SELECT buyer_id FROM buyer ORDER BY created_at, buyer_id LIMIT :most;

-- name: merchant.by_login
SELECT merchant_id FROM merchant WHERE login = :login;

-- name: merchant.all
SELECT merchant_id FROM merchant ORDER BY created_at, merchant_id LIMIT :most;

-- name: key.of_merchant
SELECT key_id, version, algorithm, use, secret, state, created_at, moved_at FROM merchant_key
WHERE merchant_id = :merchant_id AND protocol = :protocol ORDER BY created_at, key_id;

-- name: key.of_merchants
SELECT merchant_id, key_id, version, algorithm, use, secret, state, created_at, moved_at FROM merchant_key
WHERE merchant_id {in merchants} AND protocol = :protocol ORDER BY merchant_id, created_at, key_id;

-- name: instruction.due
-- in one order on every database, also where several are due at once
SELECT instruction_no FROM instruction WHERE inquire_at <= :now ORDER BY inquire_at, instruction_no LIMIT :most;

-- name: instruction.next_due
SELECT MIN(inquire_at) FROM instruction WHERE inquire_at IS NOT NULL;

-- name: instruction.of_trade
SELECT instruction_no FROM instruction WHERE merchant_id = :merchant_id AND out_trade_no = :out_trade_no
ORDER BY created_at, instruction_no;

-- name: event.of_trade
SELECT seq FROM event WHERE merchant_id = :merchant_id AND out_trade_no = :out_trade_no ORDER BY seq;

-- name: event.recent
SELECT merchant_id, out_trade_no, seq FROM event WHERE target <> '' AND cause <> 'ended' ORDER BY at DESC, out_trade_no, seq DESC LIMIT :most;

-- name: event.next_due
SELECT MIN(next_at) FROM event WHERE next_at IS NOT NULL;

-- name: attempt.of_trade
SELECT merchant_id, out_trade_no, seq, n, at, token, answer_class, status, answer, milliseconds FROM attempt
WHERE merchant_id = :merchant_id AND out_trade_no = :out_trade_no ORDER BY seq, n;

-- name: entry.of_trade
SELECT e.lane, e.seq, e.key, e.kind, e.at, p.n, p.debit, p.credit, p.amount FROM entry e
JOIN posting p ON p.lane = e.lane AND p.seq = e.seq
WHERE e.merchant_id = :merchant_id AND e.out_trade_no = :out_trade_no ORDER BY e.lane, e.seq, p.n;

-- name: refusal.recent
SELECT refusal_id, at, surface, operation, code, detail, merchant_id, peer, fields, body_digest FROM refusal
ORDER BY at DESC, refusal_id LIMIT :most;

-- name: case.open
SELECT case_id FROM case_file WHERE state = 'open' ORDER BY opened_at, case_id LIMIT :most;

-- name: case.of_owner
SELECT case_id FROM case_file WHERE state = 'open' AND owner = :owner ORDER BY opened_at, case_id LIMIT :most;

-- name: case.of_trade
SELECT case_id FROM case_file WHERE merchant_id = :merchant_id AND out_trade_no = :out_trade_no ORDER BY opened_at, case_id;

-- name: account.like_prefix
SELECT code, balance FROM account WHERE code >= :low AND code < :high ORDER BY code;

-- name: setting.get
SELECT value FROM setting WHERE name = :name;

-- name: operator.all
SELECT name FROM operator ORDER BY name;

-- name: merchant_operator.of_merchant
SELECT name FROM merchant_operator WHERE merchant_id = :merchant_id ORDER BY name;

-- name: migration.last
SELECT MAX(version) FROM migration;

-- name: authorisation.asked
SELECT t.trade_no FROM authorisation w JOIN trade t ON t.merchant_id = w.merchant_id AND t.out_trade_no = w.out_trade_no
WHERE w.buyer_id = :buyer_id AND w.act = 'ask' AND w.state = 'reserved' AND t.state = 'unpaid'
ORDER BY w.wire_at DESC LIMIT 20;

-- name: key.weak
SELECT protocol, COUNT(DISTINCT merchant_id) FROM merchant_key
WHERE algorithm LIKE '%MD5%' AND state IN ('active', 'retiring') GROUP BY protocol ORDER BY protocol;
