/* A backend in C: answers every request with its own environment, a NUL after each variable; /exit/N ends it with N. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

extern char **environ;

int main(int argc, char **argv)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(argc > 1 ? atoi(argv[1]) : 8000)};
	int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
	signal(SIGPIPE, SIG_IGN);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 64))
		return 4;
	for (;;) {
		static char request[65536], head[256];
		int client = accept(listener, 0, 0);
		if (client < 0)
			continue;
		size_t got = 0, length = 0;
		while (!memmem(request, got, "\r\n\r\n", 4)) {
			ssize_t n = read(client, request + got, sizeof request - got);
			if (n <= 0)
				break;
			got += n;
		}
		if (got > 10 && !memcmp(request, "GET /exit/", 10))
			_exit(atoi(request + 10));
		for (char **variable = environ; *variable; variable++)
			length += strlen(*variable) + 1;
		int n = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", length);
		if (write(client, head, n) == n)
			for (char **variable = environ; *variable; variable++)
				if (write(client, *variable, strlen(*variable) + 1) < 0)
					break;
		close(client);
	}
}
