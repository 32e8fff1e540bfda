// The colour of each state of a key, a rotation or a deletion; the word beside it says it all.

export const STATE_TONES = {
  current: "good", deploying: "busy", retiring: "warn", quarantined: "warn", pending_deletion: "bad", deleted: "dim", unused: "dim",
  requested: "busy", preparing: "busy", swapping: "busy", renewing: "busy", deployed: "good", failed: "bad", cancelled: "dim",
  rolling_back: "busy", returning: "busy", rolled_back: "warn",
  approved: "warn", scheduled: "bad", called_off: "good", expired: "dim", rescued: "good",
};
