-- Switches for the worst days: what is thrown stays so until somebody throws it back.

CREATE TABLE switch (
  name text NOT NULL PRIMARY KEY CHECK (name IN ('payouts')),
  stopped {bool} NOT NULL,
  actor text NOT NULL,
  reason text NOT NULL,
  at {bigint} NOT NULL
) {strict};
