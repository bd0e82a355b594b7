package dev.tidegate;

import java.nio.charset.StandardCharsets;

/** A call of the library that failed; nothing was changed. The codes are those of enum tide_code in tidegate.h. */
public final class TideException extends RuntimeException {
    public static final int INVALID = 1, TOO_LARGE = 2, NOT_FOUND = 3, MEMORY = 4, IO = 5, FULL = 6, CORRUPT = 7, FOREIGN = 8, NEWER = 9, BUSY = 10, TIMEOUT = 11, OFFLINE = 12,
        UNAUTHORISED = 13, REFUSED = 14, MISUSE = 15, KEY = 16;
    private static final long serialVersionUID = 1;
    public final int code;

    /** Called by the library. */
    TideException(int code, byte[] message) {
        super(new String(message, StandardCharsets.UTF_8));
        this.code = code;
    }
}
