/* banned - calls that invite mistakes do not compile.
 *
 * The build includes this file before everything else in each C file. The headers that declare the
 * functions come first, so that the macros below touch our own code only.
 */
#ifndef TARS_BASE_BANNED_H
#define TARS_BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TARS_BANNED(name) tars_banned_call_of_##name

#undef strcpy
#define strcpy(...) TARS_BANNED(strcpy)
#undef strcat
#define strcat(...) TARS_BANNED(strcat)
#undef strncpy
#define strncpy(...) TARS_BANNED(strncpy)
#undef strncat
#define strncat(...) TARS_BANNED(strncat)
#undef strtok
#define strtok(...) TARS_BANNED(strtok)
#undef sprintf
#define sprintf(...) TARS_BANNED(sprintf)
#undef vsprintf
#define vsprintf(...) TARS_BANNED(vsprintf)
#undef gets
#define gets(...) TARS_BANNED(gets)
#undef atoi
#define atoi(...) TARS_BANNED(atoi)
#undef atol
#define atol(...) TARS_BANNED(atol)
#undef atof
#define atof(...) TARS_BANNED(atof)
#undef gmtime
#define gmtime(...) TARS_BANNED(gmtime)
#undef localtime
#define localtime(...) TARS_BANNED(localtime)
#undef ctime
#define ctime(...) TARS_BANNED(ctime)
#undef asctime
#define asctime(...) TARS_BANNED(asctime)
#undef rand
#define rand(...) TARS_BANNED(rand)
#undef tmpnam
#define tmpnam(...) TARS_BANNED(tmpnam)
#undef mktemp
#define mktemp(...) TARS_BANNED(mktemp)
#undef system
#define system(...) TARS_BANNED(system)

#endif
