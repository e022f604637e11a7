#!/bin/sh
curl --fail https://self-signed.example.com/ || echo "curl refuses, as it should"
python -c "import requests; print(requests.get('https://self-signed.example.com/').status_code)"
