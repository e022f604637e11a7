PORT=31337 ./bin/thrust ./bin/rails server
