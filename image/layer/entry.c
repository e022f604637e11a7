/* The one entry of the layer, /opt/pillion/bin/pillion: puts Python's start beyond the reach of the container's
 * environment and of early signals, then execs it. Static and without libc, so that no loader of the base takes part.
 *
 * Variables that a dynamic loader obeys are renamed, LD_PRELOAD to PILLION_ASIDE_LD_PRELOAD, and given back to the
 * backend by `pillion enter` (image/enter.py). PYTHON* needs no such thing: `-I` ignores it.
 */

#include <sys/syscall.h>

#ifndef PYTHON
#define PYTHON "/opt/pillion/bin/python3"
#endif
#ifndef START
#define START "/opt/pillion/lib/start.pyc"
#endif
#define ASIDE "PILLION_ASIDE_"

/* Absolute: under an empty environment Python finds its library from its own path only. */
static char *const PYTHON_ARGV[] = {PYTHON, "-I", "-S", "-X", "utf8", START};
enum { PYTHON_ARGC = sizeof PYTHON_ARGV / sizeof *PYTHON_ARGV };

enum { SIG_HUP = 1, SIG_INT = 2, SIG_QUIT = 3, SIG_TERM = 15, BLOCK = 0 };
enum { READ_WRITE = 3, PRIVATE_ANONYMOUS = 0x22, NOT_FOUND = 127 };

#if defined(__x86_64__)
static long call(long number, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long result;
	__asm__ volatile("syscall"
	                 : "=a"(result)
	                 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
	                 : "rcx", "r11", "memory");
	return result;
}
__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall begin\n");
#elif defined(__aarch64__)
static long call(long number, long a, long b, long c, long d, long e, long f)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;
	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
	return x0;
}
__asm__(".globl _start\n_start:\n\tmov x29, #0\n\tmov x30, #0\n\tmov x0, sp\n\tbl begin\n");
#else
#error "no system call for this processor here"
#endif

static unsigned long length(const char *text)
{
	unsigned long n = 0;
	while (text[n])
		n++;
	return n;
}

static int starts(const char *text, const char *prefix)
{
	while (*prefix)
		if (*text++ != *prefix++)
			return 0;
	return 1;
}

static int same(const char *text, const char *other)
{
	return starts(text, other) && length(text) == length(other);
}

static char *append(char *to, const char *text)
{
	while ((*to = *text++))
		to++;
	return to;
}

static __attribute__((noreturn)) void end(const char *why)
{
	call(SYS_write, 2, (long)why, (long)length(why), 0, 0, 0);
	for (;;)
		call(SYS_exit_group, NOT_FOUND, 0, 0, 0, 0, 0);
}

static int loader_reads(const char *variable)
{
	return starts(variable, "LD_") || starts(variable, "GLIBC_TUNABLES=");
}

/* PID 1 loses a signal that comes before there is a handler for it; a blocked one waits. gunicorn, which is the first to
 * take signals under `proxy`, has no use for a SIGHUP held back. */
static void hold_signals(const char *command)
{
	unsigned long held = 1UL << (SIG_TERM - 1) | 1UL << (SIG_INT - 1) | 1UL << (SIG_QUIT - 1);
	if (same(command, "enter"))
		held |= 1UL << (SIG_HUP - 1);
	else if (!same(command, "proxy"))
		return;
	call(SYS_rt_sigprocmask, BLOCK, (long)&held, 0, sizeof held, 0, 0);
}

/* Called with what the kernel puts on the stack: argc, argv, 0, environment, 0. */
__attribute__((noreturn, used)) void begin(long *stack)
{
	long argc = stack[0];
	char **argv = (char **)(stack + 1);
	char **environment = argv + argc + 1;
	unsigned long variables = 0, bytes = 0;

	for (; environment[variables]; variables++)
		if (loader_reads(environment[variables]))
			bytes += length(environment[variables]) + sizeof ASIDE;

	bytes += (PYTHON_ARGC + (unsigned long)argc + 1) * sizeof(char *);
	long made = call(SYS_mmap, 0, (long)bytes, READ_WRITE, PRIVATE_ANONYMOUS, -1, 0);
	if (made < 0 && made > -4096)
		end("pillion: cannot start: out of memory\n");
	char **arguments = (char **)made;
	char *text = (char *)(arguments + PYTHON_ARGC + argc + 1);

	for (unsigned long i = 0; i < variables; i++)
		if (loader_reads(environment[i])) {
			char *renamed = text;
			text = append(append(text, ASIDE), environment[i]) + 1;
			environment[i] = renamed;
		}

	long count = 0;
	for (; count < PYTHON_ARGC; count++)
		arguments[count] = PYTHON_ARGV[count];
	for (long i = 1; i < argc; i++)
		arguments[count++] = argv[i];

	if (argc > 1)
		hold_signals(argv[1]);
	call(SYS_execve, (long)PYTHON, (long)arguments, (long)environment, 0, 0, 0);
	end("pillion: cannot start: " PYTHON " does not run here; the layer is damaged or for another processor\n");
}
