/* Counts how often stretches of code without a jump are executed (x86-64 Linux, one thread).
 *
 * The head of a stretch becomes a jump to a stub that counts, does what the jump lies over, and jumps back. Where that
 * cannot be elsewhere, a breakpoint: a visit takes it away for one instruction, behind which the processor traps again
 * and it is put back, at many times the cost. benchmarks/bound/count.py compiles and loads this. */
#define _GNU_SOURCE
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

enum { BREAKPOINT = 0xcc, JUMP = 0xe9, STEP = 0x100, STUB = 64 };

static unsigned char *code, *original;
static const int *heads; /* places of the stretches' first instructions, ascending */
static const int *moved; /* bytes of whole instructions there that do their work elsewhere too, or 0 */
static long *visits;
static long *counters; /* of the stubs, beside them */
static size_t room;    /* bytes of both */
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

static void reach(unsigned char *word, const void *target)
{
    int distance = (int)((const unsigned char *)target - (word + 4));
    memcpy(word, &distance, 4);
}

/* A stub for what lies at `head`; flags, registers and what is below the stack's end stay. */
static void write_stub(unsigned char *stub, unsigned char *head, int bytes, long *counter)
{
    static const unsigned char count[] = {
        0x48, 0x8d, 0x64, 0x24, 0x80,            /* lea -128(%rsp),%rsp */
        0x50,                                    /* push %rax */
        0x48, 0x8b, 0x05, 0, 0, 0, 0,            /* mov counter(%rip),%rax */
        0x48, 0x8d, 0x40, 0x01,                  /* lea 1(%rax),%rax */
        0x48, 0x89, 0x05, 0, 0, 0, 0,            /* mov %rax,counter(%rip) */
        0x58,                                    /* pop %rax */
        0x48, 0x8d, 0xa4, 0x24, 0x80, 0, 0, 0,   /* lea 128(%rsp),%rsp */
    };
    memcpy(stub, count, sizeof count);
    reach(stub + 9, counter);
    reach(stub + 20, counter);
    memcpy(stub + sizeof count, head, bytes);
    stub += sizeof count + bytes;
    *stub = JUMP;
    reach(stub + 1, head + bytes);
    *head = JUMP;
    reach(head + 1, stub - bytes - sizeof count);
}

/* Memory that jumps from `start` reach; 0 where there is none. */
static void *near(unsigned char *start, size_t bytes)
{
    for (long distance = 1L << 26; distance < 1L << 30; distance += 1L << 24) {
        void *wanted = (void *)(((size_t)start - distance) & -4096L);
        void *found = mmap(wanted, bytes, PROT_READ | PROT_WRITE | PROT_EXEC,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        if (found == wanted) return found;
        if (found != MAP_FAILED) munmap(found, bytes);
    }
    return 0;
}

/* start: where `bytes` of code lie, copied to `copy`. 0, or -1 where the system does not let its code be changed. */
int visits_begin(unsigned char *start, long bytes, unsigned char *copy, int count, const int *first, const int *over,
                 long *out)
{
    struct sigaction action;
    if (mprotect(start, bytes, PROT_READ | PROT_WRITE | PROT_EXEC)) return -1;
    room = (size_t)count * (STUB + sizeof(long));
    counters = near(start, room);
    if (!counters) return -1;
    memcpy(copy, start, bytes);
    code = start;
    original = copy;
    heads = first;
    moved = over;
    visits = out;
    stretches = count;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = trap;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGTRAP, &action, 0);
    for (int i = 0; i < count; ++i) {
        unsigned char *stub = (unsigned char *)(counters + count) + (size_t)i * STUB;
        if (moved[i]) write_stub(stub, code + heads[i], moved[i], counters + i);
        else code[heads[i]] = BREAKPOINT;
    }
    return 0;
}

void visits_end(void)
{
    for (int i = 0; i < stretches; ++i) {
        memcpy(code + heads[i], original + heads[i], moved[i] ? moved[i] : 1);
        visits[i] += counters[i];
    }
    munmap(counters, room);
}
