/* The bounds of everything that an outsider can make grow, in one place.
 *
 * Each line says what happens at the bound. `welcome.limits` tells devices the ones marked (told). */
#ifndef TIDEGATE_CORE_LIMITS_H
#define TIDEGATE_CORE_LIMITS_H

enum {
    LIMIT_SPACE_BYTES_MAX = 448,       /* a longer space name is malformed: refused by the gateway */
    LIMIT_COLLECTION_BYTES_MAX = 32,   /* a longer collection name makes the push `invalid` */
    LIMIT_ID_BYTES_MAX = 128,          /* a longer document id makes the push `invalid` */
    LIMIT_USER_BYTES_MAX = 128,        /* a token with a longer `sub` is `unauthenticated` */
    LIMIT_DEVICE_BYTES_MIN = 8,
    LIMIT_DEVICE_BYTES_MAX = 64,       /* a longer device id makes the `hello` malformed */
    LIMIT_DOCUMENT_BYTES_MAX = 262144, /* (told) a body past it: the push is `too_large` */
    LIMIT_MEMBERS_MAX = 256,           /* top-level members of a body: `too_large` */
    LIMIT_FIELD_BYTES_MAX = 1024,      /* a longer name of a top-level member (decoded): `too_large` */
    LIMIT_FIELD_STAMPS_MAX = 512,      /* edit times kept of one document's fields: those of removed fields go, oldest first */
    LIMIT_PUSH_FIELDS_MAX = 4096,      /* different fields of one document, its past ones too, met in one push: `too_large` */
    LIMIT_SET_VALUES_MAX = 1024,       /* values of one set: `too_large` */
    LIMIT_PUSH_DOCS_MAX = 128,         /* documents touched by one push: `too_large` */
    LIMIT_OPS_MAX = 512,               /* (told) operations in one push: `too_large` */
    LIMIT_PUSH_BODIES_BYTES_MAX = 1048576, /* bodies that one push leaves behind: `too_large` */
    LIMIT_FRAME_BYTES_MAX = 2097152,   /* (told) one frame from a device: `too_large`, or close 1009 */
    LIMIT_INFLIGHT_MAX = 64,           /* (told) outcomes kept for a device past its `known`: `too_many` */
    LIMIT_SPACES_MAX = 1024,           /* (told) spaces open in one session: `too_many` */
    LIMIT_RATE_MAX = 2000,             /* (told) frames a second of one session unless set (--rate), burst of 4 s: 4429 */
    LIMIT_NESTING_MAX = 32,            /* JSON nesting: `bad_frame` */
    LIMIT_BAD_FRAMES_MAX = 10,         /* bad frames a minute: close 4400 */
    LIMIT_LOSERS_MAX = 1000,           /* losing values kept a space: the oldest goes */
    LIMIT_PAGE_BYTES = 262144,         /* a page ends at the push that takes it past this */
    LIMIT_UPDATE_BYTES_MAX = 65536,    /* a longer update goes over a link as its head alone, and is pulled */
    LIMIT_PAGES_IN_FLIGHT_BYTES = 4194304, /* pages a gateway has asked of one owner: further pulls wait */
    LIMIT_SESSION_QUEUE_BYTES = 262144, /* unsent bytes of one session: its spaces are marked behind */
    LIMIT_HISTORY_MAX = 500,           /* documents in one `history` page: a larger `limit` is lowered */
    LIMIT_META_BYTES_MAX = 1024,       /* presence `meta`: `bad_frame` */
    LIMIT_SIGNAL_BYTES_MAX = 4096,     /* a signal's body: `too_large` */
    LIMIT_PRESENCE_HERE_MAX = 200,     /* users listed in the first presence frame: the rest only counted */
    LIMIT_TOKEN_BYTES_MAX = 8192,      /* a longer token is `unauthenticated` */
    LIMIT_GRANTS_MAX = 256,            /* grants in one token: more is `unauthenticated` */
    LIMIT_MESSAGE_BYTES_MAX = 200,     /* an outcome's `message`: cut */
    LIMIT_RING_UPDATES = 64,           /* recent updates a gateway keeps a space: the oldest goes */
    LIMIT_RING_BYTES = 262144,         /* and their bytes a space */
    /* of one gateway */
    LIMIT_HUB_SESSIONS = 1048575,      /* connections: a further one is refused */
    LIMIT_HUB_SPACES = 1048576,        /* spaces open, or named by a push under way: `busy` */
    LIMIT_HUB_PUSHES = 131072,         /* pushes without an outcome: `busy` */
    LIMIT_HUB_PUSH_BYTES = 268435456,  /* and their bytes: `busy` */
    LIMIT_SESSION_PUSHES = 4096,       /* those of one session, in all its spaces and copies counted: `too_many` */
    LIMIT_SESSION_PUSH_BYTES = 67108864, /* and their bytes: `busy` */
    LIMIT_HUB_RING_BYTES = 67108864,   /* recent updates of all spaces: those of the space that was quiet longest go */
    LIMIT_HUB_OUT_BYTES = 67108864,    /* unsent bytes of all sessions: past it no page is asked for */
    LIMIT_HUB_QUESTIONS = 65536,       /* history and HTTP questions under way: `busy` */
    LIMIT_HTTP_JOBS = 4096,            /* HTTP calls under way: 503 */
    LIMIT_HTTP_PAGES_BYTES = 16777216, /* pages that one sync carries: the spaces past it get an error `too_many` */
    LIMIT_HTTP_BYTES = 134217728,      /* and of all that are under way: likewise */
    /* of the links between gateways and owners */
    LIMIT_LINK_FRAME_BYTES = 34603008, /* one frame: a longer one ends the link */
    LIMIT_LINK_ASKS_BYTES = 16777216,  /* unsent from a gateway to an owner: questions and signals are `busy`, the hub asks again */
    LIMIT_LINK_QUEUE_BYTES = 268435456, /* unsent from a gateway to an owner, all told: the link is cut, and made again */
    LIMIT_LINK_TELLS_BYTES = 67108864, /* unsent from an owner to a gateway, pages not counted: the link is cut */
    LIMIT_LINK_PAGES_BYTES = 16777216, /* pages that wait for a gateway: nothing more is read from it until they are fewer */
    LIMIT_LINK_GATEWAYS = 1024,        /* gateways that one owner process serves, half-made links included: a further one is refused */
    LIMIT_NAMESPACES_MAX = 64,         /* namespaces in force: a further one is refused at load */
    LIMIT_COLLECTIONS_MAX = 32,        /* collections of one namespace: refused at load */
    LIMIT_NAMESPACE_BYTES_MAX = 65536  /* a namespace's text: refused at load */
};

#define LIMIT_INTEGER_MAX INT64_C(9007199254740991) /* every integer on the wire but those in bodies */

#endif
