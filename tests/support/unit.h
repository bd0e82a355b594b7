/* What every cmocka program includes, in the order that cmocka wants it. */
#ifndef TIDEGATE_TESTS_UNIT_H
#define TIDEGATE_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
