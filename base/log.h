/* The process's log: one line an event on stderr, `time level event key=value ...`. Never a token or a body.
 *
 * BOUND  An event of one name is written at most LOG_BURST times a second; what is left out is counted and said in
 *        the next line of that name. Any thread. */
#ifndef TIDEGATE_BASE_LOG_H
#define TIDEGATE_BASE_LOG_H

enum log_level { LOG_DEBUG_LEVEL, LOG_INFO_LEVEL, LOG_WARN_LEVEL, LOG_ERROR_LEVEL };
enum { LOG_BURST = 20 };

/* Lines below it are not written. */
void log_threshold(enum log_level level);
void log_line(enum log_level level, const char *event, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
