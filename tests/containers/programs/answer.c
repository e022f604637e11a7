/* A backend in C, as answer.py: / answers with its environment as it was given, a NUL after each variable; /child with
   that of a process it starts; /exit/N ends it with N; any other path is a file's. It says what signal stopped it. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static const int STOPS[] = {SIGTERM, SIGINT, SIGQUIT, SIGUSR1};

static void stop(int number)
{
	char line[32];
	int length = snprintf(line, sizeof line, "stopped by %d\n", number);
	_exit(write(1, line, length) == length ? 0 : 5);
}

/* What a process that this one starts has for an environment: itself again, with --environ. */
static int child(void)
{
	int ends[2];
	if (pipe(ends))
		return -1;
	if (!fork()) {
		dup2(ends[1], 1);
		execl("/proc/self/exe", "answer", "--environ", (char *)0);
		_exit(6);
	}
	close(ends[1]);
	return ends[0];
}

static size_t all(int from, char *into, size_t room)
{
	size_t length = 0;
	ssize_t n;
	while (from >= 0 && (n = read(from, into + length, room - length)) > 0)
		length += n;
	if (from >= 0)
		close(from);
	return length;
}

int main(int argc, char **argv)
{
	static char request[65536], body[1 << 20];
	if (argc > 1 && !strcmp(argv[1], "--environ")) {
		size_t length = all(open("/proc/self/environ", O_RDONLY), body, sizeof body);
		return write(1, body, length) != (ssize_t)length;
	}
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(argc > 1 ? atoi(argv[1]) : 8000)};
	int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < sizeof STOPS / sizeof *STOPS; i++)
		signal(STOPS[i], stop);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 64))
		return 4;
	for (;;) {
		char head[256], path[1024] = "";
		int client = accept(listener, 0, 0);
		if (client < 0)
			continue;
		size_t got = 0;
		while (!memmem(request, got, "\r\n\r\n", 4)) {
			ssize_t n = read(client, request + got, sizeof request - 1 - got);
			if (n <= 0)
				break;
			got += n;
		}
		request[got] = 0;
		sscanf(request, "GET %1023s", path);
		if (!strncmp(path, "/exit/", 6))
			_exit(atoi(path + 6));
		int started = !strcmp(path, "/child");
		int from = started ? child() : open(strcmp(path, "/") ? path : "/proc/self/environ", O_RDONLY);
		size_t length = all(from, body, sizeof body);
		if (started)
			wait(0);
		int n = snprintf(head, sizeof head, "HTTP/1.1 %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
				 from < 0 ? "404 Not Found" : "200 OK", length);
		if (write(client, head, n) == n && write(client, body, length) < 0)
			perror("write");
		close(client);
	}
}
