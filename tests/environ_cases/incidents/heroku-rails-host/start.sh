exec bundle exec rails server
