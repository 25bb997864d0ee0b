/* Counts how often loops of this process are gone through: a breakpoint at the head of each (x86-64 Linux).
 *
 * A visit takes the breakpoint away and puts one at the loop's end instead, which puts the first one back; so every turn
 * of an innermost loop is two traps. One thread. benchmarks/bound/count.py compiles and loads this. */
#define _GNU_SOURCE
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

enum { BREAKPOINT = 0xcc };

static unsigned char *code, *original;
static const int *heads, *tails; /* places of the loops' first and last instructions, in ascending order of heads */
static long *visits;
static int loops, inside = -1; /* the loop that was entered last */

static int find(int place)
{
    int low = 0, high = loops - 1;
    while (low < high) {
        int middle = (low + high) / 2;
        if (heads[middle] < place) low = middle + 1;
        else high = middle;
    }
    return low < loops && heads[low] == place ? low : -1;
}

static void leave(void)
{
    if (inside < 0) return;
    code[tails[inside]] = original[tails[inside]];
    code[heads[inside]] = BREAKPOINT;
    inside = -1;
}

static void trap(int signal, siginfo_t *info, void *context)
{
    greg_t *at = &((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
    int place = (int)(*at - 1 - (greg_t)code), loop = find(place);
    *at -= 1;
    if (loop < 0) {
        leave();
        return;
    }
    leave();
    visits[loop]++;
    inside = loop;
    code[heads[loop]] = original[heads[loop]];
    if (heads[loop] != tails[loop]) code[tails[loop]] = BREAKPOINT;
}

/* start: where `bytes` of code lie, copied to `copy`. 0, or -1 where the system does not let its code be changed. */
int visits_begin(unsigned char *start, long bytes, unsigned char *copy, int count, const int *first, const int *last,
                 long *out)
{
    struct sigaction action;
    if (mprotect(start, bytes, PROT_READ | PROT_WRITE | PROT_EXEC)) return -1;
    memcpy(copy, start, bytes);
    code = start;
    original = copy;
    heads = first;
    tails = last;
    visits = out;
    loops = count;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = trap;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGTRAP, &action, 0);
    for (int i = 0; i < count; ++i) code[heads[i]] = BREAKPOINT;
    return 0;
}

void visits_end(void)
{
    leave();
    for (int i = 0; i < loops; ++i) code[heads[i]] = original[heads[i]];
}
