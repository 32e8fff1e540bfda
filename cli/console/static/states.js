// The colour of each state of a key, a rotation or a deletion; the word beside it says it all.

/** The warnings of what somebody did to a key past Keyturn, each in a word. */
export const HARMS = { deletion_scheduled_outside: "pending deletion", disabled_outside: "disabled", deleted_outside: "gone" };

export const STATE_TONES = {
  current: "good", deploying: "busy", retiring: "warn", quarantined: "warn", pending_deletion: "bad", deleted: "dim", unused: "dim",
  requested: "busy", preparing: "busy", swapping: "busy", renewing: "busy", deployed: "good", failed: "bad", cancelled: "dim",
  rolling_back: "busy", returning: "busy", rolled_back: "warn",
  approved: "warn", scheduled: "bad", called_off: "good", expired: "dim", rescued: "good",
};
