import os

print(len(os.environ["LEOFLOW_AGENT_TOKEN"]))
