import http from "http";
import express from "express";

const port = process.env.PORT || 8091;
const server = new http.Server(express());
server.listen(port, () => console.log(`RTS listens on ${port}`));
