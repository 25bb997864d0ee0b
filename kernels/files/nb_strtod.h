/* strtod of the C locale: a host program may have set one with a decimal comma, which the reference never does */
#ifndef NB_STRTOD_H
#define NB_STRTOD_H

#include <locale.h>
#include <stdlib.h>
#ifdef __APPLE__
#include <xlocale.h>
#endif

#ifdef _WIN32
static double nb_strtod(const char *text, char **end)
{
    static _locale_t c_locale = NULL;
    if (!c_locale) c_locale = _create_locale(LC_ALL, "C");
    return _strtod_l(text, end, c_locale);
}
#else
static double nb_strtod(const char *text, char **end)
{
    static locale_t c_locale = (locale_t)0;
    if (!c_locale) c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    return c_locale ? strtod_l(text, end, c_locale) : strtod(text, end);
}
#endif

#endif
