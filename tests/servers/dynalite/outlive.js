// Loaded into dynalite's process. It ends when a client goes away in the middle of a request (index.js: the request's
// 'error' is thrown), as a client that is killed does; DynamoDB goes on.
process.on('uncaughtException', function (error) {
  if (error.code === 'ECONNRESET') return
  console.error(error)
  process.exit(1)
})
