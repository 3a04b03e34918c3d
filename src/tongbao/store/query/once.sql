-- name: once.forget
-- so many words whose time is over
DELETE FROM seen_word WHERE word IN (
  SELECT word FROM seen_word WHERE until < :now_wire ORDER BY until LIMIT :most
) RETURNING word;
