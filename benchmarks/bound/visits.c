/* Counts how often stretches of code without a jump are executed: a breakpoint at the head of each (x86-64 Linux).
 *
 * A visit takes the breakpoint away for one instruction, behind which the processor traps again and it is put back. One
 * thread. benchmarks/bound/count.py compiles and loads this. */
#define _GNU_SOURCE
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

enum { BREAKPOINT = 0xcc, STEP = 0x100 };

static unsigned char *code, *original;
static const int *heads; /* places of the stretches' first instructions, ascending */
static long *visits;
static int stretches, away = -1; /* the place whose breakpoint is away */

static int find(long place)
{
    int low = 0, high = stretches - 1;
    while (low < high) {
        int middle = (low + high) / 2;
        if (heads[middle] < place) low = middle + 1;
        else high = middle;
    }
    return low < stretches && heads[low] == place ? low : -1;
}

static void trap(int signal, siginfo_t *info, void *context)
{
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    long place = registers[REG_RIP] - 1 - (long)code;
    int stretch;
    if (away >= 0) {
        code[away] = BREAKPOINT;
        away = -1;
        registers[REG_EFL] &= ~STEP;
        return;
    }
    stretch = find(place);
    if (stretch < 0) return;
    visits[stretch]++;
    registers[REG_RIP] -= 1;
    registers[REG_EFL] |= STEP;
    code[place] = original[place];
    away = (int)place;
}

/* start: where `bytes` of code lie, copied to `copy`. 0, or -1 where the system does not let its code be changed. */
int visits_begin(unsigned char *start, long bytes, unsigned char *copy, int count, const int *first, long *out)
{
    struct sigaction action;
    if (mprotect(start, bytes, PROT_READ | PROT_WRITE | PROT_EXEC)) return -1;
    memcpy(copy, start, bytes);
    code = start;
    original = copy;
    heads = first;
    visits = out;
    stretches = count;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = trap;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGTRAP, &action, 0);
    for (int i = 0; i < count; ++i) code[heads[i]] = BREAKPOINT;
    return 0;
}

void visits_end(void)
{
    for (int i = 0; i < stretches; ++i) code[heads[i]] = original[heads[i]];
}
