#: publish.sh
