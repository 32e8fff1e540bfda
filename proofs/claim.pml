/* How a rotation comes to exactly one key: lease, look up, create, name, record.

   KMS has no idempotency token for CreateKey. Two workers are woken for one rotation, each more than once; each may
   be killed between any two steps, a request in flight outlives its worker, and an answer may be lost. DescribeKey
   by alias is exact. ListKeys, by which a key without an alias is found from its tags, lags.

   A lease is over only when its holder is certainly dead: it lasts longer than the function's timeout, its requests
   in flight, and the lag of ListKeys. The rest after a failure lasts as long, for the same reason.

   Broken on purpose, one flag each: NO_LEASE, LOOK_UP_WITHOUT_LEASE, REST_TOO_SHORT, LEASE_TOO_SHORT.

       spin -a claim.pml && gcc -O2 -DSAFETY -o pan pan.c && ./pan */

#define WORKERS 2
#ifndef WAKES
#define WAKES 3                 /* how often each worker is woken */
#endif
#define NONE 0                  /* no key; keys are numbered from 1 */

mtype = { FREE, HELD, RESTING, IDLE, SENT, ANSWERED, LOST };

/* The rotation's row; every write of it is conditional on the version that the writer read. */
byte version;
mtype lease = FREE;
byte holder;
bool holder_dead;
byte recorded = NONE;

/* KMS. */
byte created;                   /* keys that exist */
byte listed;                    /* so many of them ListKeys shows by now */
byte alias = NONE;
mtype request[WORKERS] = IDLE;  /* each worker's CreateKey */
byte answer[WORKERS];

byte finished;

#define IN_FLIGHT (request[0] == SENT || request[1] == SENT)
#define SETTLED (!IN_FLIGHT && listed == created)

#define MAY_BE_KILLED if :: skip :: goto killed fi

inline look_up() {
    key = alias;
    MAY_BE_KILLED;
    if
    :: key == NONE && listed > 0 -> key = 1
    :: else
    fi;
    MAY_BE_KILLED
}

inline claim() {
    atomic {
        if
        :: recorded != NONE || lease != FREE -> goto asleep
        :: else -> read = version
        fi
    };
    MAY_BE_KILLED;
    atomic {
        if
        :: version != read -> goto asleep
        :: else -> version++; read = version; lease = HELD; holder = _pid; holder_dead = false
        fi
    };
    MAY_BE_KILLED
}

inline create() {
    if
    :: key == NONE ->
        atomic { request[_pid] != SENT -> request[_pid] = SENT };
        MAY_BE_KILLED;
        if
        :: request[_pid] == ANSWERED -> key = answer[_pid]
        :: request[_pid] == LOST -> goto failed
        fi
    :: else
    fi;
    MAY_BE_KILLED
}

inline name() {
    atomic {
        if
        :: alias == NONE -> alias = key
        :: alias == NONE -> goto failed     /* KMS does not know the new key everywhere yet */
        :: alias == key
        :: alias != NONE && alias != key -> goto failed
        fi
    };
    MAY_BE_KILLED
}

inline release(state) {
    if
    :: version == read -> version++; lease = state
    :: else
    fi
}

active [WORKERS] proctype Worker() {
    byte woken, read, key;
    do
    :: woken == WAKES -> break
    :: woken < WAKES ->
        woken++;
        key = NONE;
        read = 0;
#if defined(NO_LEASE)
        if
        :: recorded != NONE -> goto asleep
        :: else
        fi;
        look_up();
#elif defined(LOOK_UP_WITHOUT_LEASE)
        look_up();
        claim();
#else
        claim();
        look_up();
#endif
        create();
        name();
        atomic {
#ifdef NO_LEASE
            recorded = key;
#else
            if
            :: version == read -> recorded = key; release(FREE)
            :: else
            fi;
#endif
            assert(recorded == NONE || recorded == alias);
            goto asleep
        };
failed: atomic {
#ifndef NO_LEASE
            release(RESTING);
#endif
            goto asleep
        };
killed: atomic {
            if
            :: lease == HELD && holder == _pid -> holder_dead = true
            :: else
            fi
        };
asleep: skip
    od;
    finished++
}

active proctype Kms() {
    byte who;
end:
    do
    :: atomic { request[0] == SENT -> who = 0; goto take }
    :: atomic { request[1] == SENT -> who = 1; goto take }
    :: atomic { listed < created -> listed++ }
    od;
take:
    atomic {
        if
        :: created++; answer[who] = created; request[who] = ANSWERED
        :: created++; request[who] = LOST
        :: request[who] = LOST
        fi;
        assert(created <= 1);
        goto end
    }
}

active proctype Time() {
end:
    do
#ifdef LEASE_TOO_SHORT
    :: atomic { lease == HELD && holder_dead -> lease = FREE }
#else
    :: atomic { lease == HELD && holder_dead && SETTLED -> lease = FREE }
#endif
#ifdef REST_TOO_SHORT
    :: atomic { lease == RESTING -> lease = FREE }
#else
    :: atomic { lease == RESTING && SETTLED -> lease = FREE }
#endif
    od
}

/* No orphan: whatever was made is recorded, or found by the next look-up. */
active proctype Janitor() {
    byte found;
    atomic {
        finished == WORKERS && SETTLED ->
        found = (recorded != NONE -> recorded : (alias != NONE -> alias : listed));
        assert(found == created)
    }
}
