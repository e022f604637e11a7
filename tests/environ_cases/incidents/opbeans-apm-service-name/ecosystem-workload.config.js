module.exports = {
  apps: [
    { name: 'workload', script: './node_modules/.bin/workload' },
    { name: 'server', script: './server.js' },
  ],
}
