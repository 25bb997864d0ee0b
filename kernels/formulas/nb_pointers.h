/* Pointers that alias nothing: without the promise gcc checks for overlap before every vector loop, or gives up. */
#ifndef NB_POINTERS_H
#define NB_POINTERS_H

typedef double *__restrict nb_out;
typedef const double *__restrict nb_in;
typedef float *__restrict nb_outf;
typedef const float *__restrict nb_inf;
typedef int *__restrict nb_outi;
typedef const int *__restrict nb_ini;

#endif
