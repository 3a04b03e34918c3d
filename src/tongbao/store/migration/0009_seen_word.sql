-- Words of signed requests that were seen: a nonce and its time, as a digest, until they are too old to be sent again.

CREATE TABLE seen_word (
  word text NOT NULL PRIMARY KEY CHECK (length(word) = 64),
  until {bigint} NOT NULL
) {strict};

CREATE INDEX seen_word_until ON seen_word (until);
