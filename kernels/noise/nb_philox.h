/* Philox4x32-10: four 32-bit random words from a counter of four words and a key of two.
 *
 * J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC '11,
 * doi:10.1145/2063384.2063405. There is no state: a word depends on its counter and key and on nothing drawn before, so
 * that pixels can be drawn in any order, by any number of threads, on any processor.
 *
 * How noise uses the counter: (draw, index low, index high, kind). The key is the seed. Kind NB_PHILOX_GROUP, draw 0:
 * index is the pixel's index divided by 4, and the four words belong to those four pixels, as most pixels of a faint
 * image need one word only. Kind NB_PHILOX_PIXEL, draws 0, 1, ...: index is the pixel's own, for those that need more.
 */
#ifndef NB_PHILOX_H
#define NB_PHILOX_H

#include "nb_common.h"

#define NB_PHILOX_GROUP 1u
#define NB_PHILOX_PIXEL 2u
#define NB_PHILOX_SHARE 4 /* pixels of a group */

#define NB_PHILOX_ROUNDS 10
#define NB_PHILOX_STEP_LOW 0x9E3779B9u /* of the key, from round to round */
#define NB_PHILOX_STEP_HIGH 0xBB67AE85u

/* One round on the words x0..x3 of a counter. */
NB_FN void nb_philox_round(unsigned int *x0, unsigned int *x1, unsigned int *x2, unsigned int *x3, unsigned int key_low,
                           unsigned int key_high)
{
    unsigned long long a = 0xD2511F53ULL * *x0, b = 0xCD9E8D57ULL * *x2;
    *x0 = (unsigned int)(b >> 32) ^ *x1 ^ key_low;
    *x1 = (unsigned int)b;
    *x2 = (unsigned int)(a >> 32) ^ *x3 ^ key_high;
    *x3 = (unsigned int)a;
}

/* x: the counter, replaced by the random words. */
NB_FN void nb_philox(unsigned int *x, unsigned int key_low, unsigned int key_high)
{
    int round;
    for (round = 0; round < NB_PHILOX_ROUNDS; round++) {
        nb_philox_round(&x[0], &x[1], &x[2], &x[3], key_low, key_high);
        key_low += NB_PHILOX_STEP_LOW;
        key_high += NB_PHILOX_STEP_HIGH;
    }
}

/* The words x[0..3] of a counter (draw, index, kind). */
NB_FN void nb_philox_words(unsigned int draw, unsigned long long index, unsigned int kind, unsigned int key_low,
                           unsigned int key_high, unsigned int *x)
{
    x[0] = draw;
    x[1] = (unsigned int)index;
    x[2] = (unsigned int)(index >> 32);
    x[3] = kind;
    nb_philox(x, key_low, key_high);
}

/* Two words as a uniform deviate inside (0, 1), never at an end: the middles of 2^52 equal intervals. */
NB_FN double nb_uniform(unsigned int high, unsigned int low)
{
    double n = (double)high * 1048576.0 + (double)(low >> 12);
    return (n + 0.5) * (1.0 / 4503599627370496.0);
}

#endif
