-- name: setting.put
INSERT INTO setting (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = :value;

-- name: outbox.claim
UPDATE event SET lease_token = lease_token + 1, lease_until = :until
WHERE (merchant_id, out_trade_no, seq) IN (
  SELECT merchant_id, out_trade_no, seq FROM event
  WHERE next_at <= :now AND (lease_until IS NULL OR lease_until <= :now_wire)
  ORDER BY next_at LIMIT :most {skip}
)
RETURNING merchant_id, out_trade_no, seq, lease_token;

-- name: outbox.finish
UPDATE event SET notify_state = :notify_state, attempts = :attempts, next_at = :next_at, lease_until = NULL
WHERE merchant_id = :merchant_id AND out_trade_no = :out_trade_no AND seq = :seq AND lease_token = :token
RETURNING seq;

-- name: outbox.attempt
INSERT INTO attempt (merchant_id, out_trade_no, seq, n, at, token, answer_class, status, answer, milliseconds)
VALUES (:merchant_id, :out_trade_no, :seq, :n, :at, :token, :answer_class, :status, :answer, :milliseconds)
ON CONFLICT DO NOTHING;

-- name: outbox.resend
UPDATE event SET notify_state = 'pending', next_at = :now, resends = resends + 1, lease_until = NULL
WHERE merchant_id = :merchant_id AND out_trade_no = :out_trade_no AND seq = :seq AND target <> ''
RETURNING seq, attempts;

-- name: outbox.case
INSERT INTO case_file (case_id, kind, merchant_id, out_trade_no, subject, amount, currency, state, note, opened_at, closed_at)
VALUES (:case_id, :kind, :merchant_id, :out_trade_no, :subject, 0, 'CNY', 'open', :note, :now, NULL)
ON CONFLICT DO NOTHING;

-- name: outbox.defer
UPDATE event SET next_at = :next_at, lease_until = NULL
WHERE merchant_id = :merchant_id AND out_trade_no = :out_trade_no AND seq = :seq AND lease_token = :token
  AND notify_state = 'pending'
RETURNING seq;
