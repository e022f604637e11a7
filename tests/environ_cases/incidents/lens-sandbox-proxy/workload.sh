#!/bin/sh
node -e 'require("http").createServer((q,r)=>r.end("ok")).listen(33355,"127.0.0.1")' &
curl http://127.0.0.1:33355/
