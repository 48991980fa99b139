"""A small working Eclipse hawkBit: targets, actions, confirmations, cancellations, rollouts; DDI over mTLS.

Made from the public description of its API and the rules of its repository (JpaControllerManagement,
JpaConfirmationManagement, JpaRolloutExecutor and the threshold conditions), in memory.
"""
