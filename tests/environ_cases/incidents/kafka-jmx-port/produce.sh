docker exec kafka ./kafka-console-producer.sh --broker-list kafka:9092 --topic test
